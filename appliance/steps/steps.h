/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The functions behind the table in step.c, one of each step; what a step takes and gives stands at
 * its file's head. */

#include "appliance/steps/step.h"

JsonObject *step_preflight(const struct step_run *run, GError **error);
JsonObject *step_plan(const struct step_run *run, GError **error);
JsonObject *step_lease(const struct step_run *run, GError **error);
JsonObject *step_release(const struct step_run *run, GError **error);
JsonObject *step_pin(const struct step_run *run, GError **error);
JsonObject *step_clone(const struct step_run *run, GError **error);
JsonObject *step_test_network(const struct step_run *run, GError **error);
JsonObject *step_define(const struct step_run *run, GError **error);
JsonObject *step_start(const struct step_run *run, GError **error);
JsonObject *step_watch(const struct step_run *run, GError **error);
JsonObject *step_stop(const struct step_run *run, GError **error);
JsonObject *step_undefine(const struct step_run *run, GError **error);
JsonObject *step_remove_network(const struct step_run *run, GError **error);
JsonObject *step_remove_clone(const struct step_run *run, GError **error);
JsonObject *step_abandon(const struct step_run *run, GError **error);
JsonObject *step_unpin(const struct step_run *run, GError **error);
JsonObject *step_shutdown(const struct step_run *run, GError **error);
JsonObject *step_fence(const struct step_run *run, GError **error);
JsonObject *step_unfence(const struct step_run *run, GError **error);
JsonObject *step_start_source(const struct step_run *run, GError **error);
JsonObject *step_write_back(const struct step_run *run, GError **error);
JsonObject *step_catch_up(const struct step_run *run, GError **error);
JsonObject *step_unfence_home(const struct step_run *run, GError **error);
JsonObject *step_fence_home(const struct step_run *run, GError **error);
JsonObject *step_clean_source(const struct step_run *run, GError **error);
JsonObject *step_trust(const struct step_run *run, GError **error);
JsonObject *step_serve(const struct step_run *run, GError **error);
JsonObject *step_unserve(const struct step_run *run, GError **error);
JsonObject *step_copy(const struct step_run *run, GError **error);
JsonObject *step_remove_copy(const struct step_run *run, GError **error);
JsonObject *step_hand_over(const struct step_run *run, GError **error);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What one step of a failover is to do, and with what: JSON, one line, which the daemon writes and
 * the step's process reads. The format stands at the head of step-work.c. */

#include "base/error.h"

#include <json-glib/json-glib.h>

/* How the target gets at the replica. */
enum step_reach {
    STEP_REACH_PATH, /* the store's folder is visible there, as store_path */
    STEP_REACH_NBD,  /* it is not: what it needs is served */
};

/* What the target wants to be different. NULL and 0: as at the source. */
struct step_machine_settings {
    const char *name_suffix;
    const char *firmware;
    const char *machine_type;
    const char *cpu_model;
    const char *video;
    guint cpus;
    guint memory_mib;
};

/* All strings belong to the JSON; NULL: not given. */
struct step_work {
    /* Owned; none is ever NULL. */
    JsonObject *json;
    JsonObject *networks; /* network or bridge of the source → network of the target */
    JsonObject *options;  /* what the operator chose */
    JsonObject *facts;    /* results of the steps that were done, by their names */

    guint64 operation;
    const char *appliance; /* whose number that is; NULL: the only one's */
    const char *kind;      /* "test", "cleanup", "migrate", "rollback", "complete", "reverse" */
    const char *step;

    guint64 machine_id;
    const char *machine_uuid;
    const char *machine_name;

    const char *source_host; /* its name */
    const char *source_uri;

    const char *target_host;
    const char *target_uri;
    enum step_reach reach;
    const char *target_store_path; /* never NULL where the target is given and reach is PATH */
    const char *pool;
    const char *test_network; /* NULL: an isolated one, made on demand */
    struct step_machine_settings settings;

    const char *store_name;
    const char *store_path;
    guint64 recovery_point; /* 0: none */
    const char *evidence;   /* where a screenshot goes */
};

/* From JSON text. Error config names what is wrong. */
struct step_work *step_work_parse(const char *text, gsize length_bytes, GError **error);
void step_work_free(struct step_work *work);

/* The name of what belongs to the operation, in the store and on hosts: unique in a store. The
 * caller owns it. */
char *step_work_owner(const struct step_work *work);

/* The result of an earlier step; NULL: it was not done. Borrowed. */
JsonObject *step_work_fact(const struct step_work *work, const char *step);

/* An option that is a number; fallback where it is not given. Error config. */
gboolean step_work_option_uint(const struct step_work *work, const char *name, guint64 fallback,
                               guint64 *ret_value, GError **error);

/* Whether the target has what the machine was before it was moved away from there: then it is
 * brought up to date instead of another being defined. */
gboolean step_work_is_home(const struct step_work *work);

/* The same work seen from there: source and target have changed places if it is. A copy that
 * borrows all it has. */
struct step_work step_work_at_home(const struct step_work *work);

/* Whether what the machine says on its console is to be kept from the first byte on: always of a
 * test, of a machine that stays only while somebody waits for a word of it. */
gboolean step_work_keeps_console(const struct step_work *work);

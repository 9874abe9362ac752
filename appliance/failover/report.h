/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The report of an operation, also while it is under way: what was done when, how long the machine
 * was down, what was sent and proven, what was looked at, what has changed. As JSON, and as a page
 * that a person files.
 *
 *     operation     {id, kind, state, verdict?, who, machine {id, name, uuid}, source, target?,
 *                   recovery_point?, asked_at, started_at?, ended_at?, options, error?}
 *     downtime      {ms, off_at, running_at, parts [{step, ms}]}; of a move
 *     timeline[]    {at, operation, kind, step, state, took_ms?, message?}: the operation's own
 * steps, and those of what ended it data          {passes?, passes_bytes?, consistency?, disks
 * [{name, mode, sent_bytes, root_hash, verified?, size_bytes}]}: what was sent, and the hashes of
 * the last recovery point checks[]      {step, check, verdict, message, hint?} definition    {name,
 * uuid, changes [{what, from?, to?, why, level}], xml} console[]     the last lines followed_by[]
 * {id, kind, state, who, started_at?, ended_at?, error?} left_behind?  {host, why, left [{what,
 * command}]}: on a target that was abandoned */

#include "appliance/state/failovers.h"

/* The caller owns the object. Errors: those of the state. */
JsonObject *report_make(struct state *state, const struct state_failover *failover, GError **error);

/* Such a report as a page: one file that needs no other. screenshot: a PNG's path, or NULL; one
 * that is not there is left out. The caller owns the text. */
char *report_page(JsonObject *report, const char *screenshot);

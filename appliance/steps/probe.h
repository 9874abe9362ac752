/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signs that a machine works: each is looked for again and again until it is seen. */

#include "appliance/steps/console.h"
#include "appliance/steps/host.h"

struct probe;

/* The machine that is watched. */
struct probe_subject {
    const struct step_host *host;
    virDomainPtr domain;
    gint64 running_at_us;    /* wall clock */
    struct console *console; /* what it has said until now */
};

struct probe_kind {
    const char *word;

    /* Takes what the operator wrote: error config when that cannot be. */
    gboolean (*prepare)(struct probe *probe, GError **error);

    /* Looks once, for at most some seconds. FALSE with what keeps it from being seen. */
    gboolean (*look)(struct probe *probe, const struct probe_subject *subject, GError **error);
};

struct probe {
    const struct probe_kind *kind;
    JsonObject *settings; /* owned */
    char *label;          /* for people: "tcp 22" */

    GRegex *pattern;    /* of console */
    guint64 port;       /* of tcp */
    const char *target; /* address or URL, from the settings; or NULL */
    guint64 status;     /* of http */
    guint64 steady_ms;  /* of power */

    gboolean passed;
    gint64 ms;         /* from the first instruction until it was seen, or given up */
    char *complaint;   /* what kept it from being seen last; or NULL */
    gboolean hopeless; /* looking again is of no use */
};

/* What the operator wants to see (options.probes, an array of objects with a member kind), or what
 * is known of the machine to be there: array of struct probe, the power first. Error config. */
GPtrArray *probes_of(const struct step_work *work, GError **error);

/* Whether one of them needs a network that leads here. */
gboolean probes_need_network(const GPtrArray *probes);

/* probe-network.c: through the guest's network. */
extern const struct probe_kind probe_tcp;
extern const struct probe_kind probe_http;

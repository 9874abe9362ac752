/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/api/lockout.h"
#include "appliance/api/api-error.h"
#include "appliance/api/api-private.h"
#include "appliance/state/sessions.h"

#include <gio/gio.h>
#include <netinet/in.h>
#include <string.h>

#define FIRST_LOCK_S 30
#define FORGIVEN_AFTER_S 3600

struct limit {
    const char *prefix;
    gint64 failures; /* with the last of these it is locked for the first time */
    gint64 longest_s;
};

/* An account can be locked by anybody, so not for long; many people may share an address. */
static const struct limit account_limit = {"account/", 5, 900};
static const struct limit address_limit = {"address/", 20, 3600};

static char *key_of(const struct limit *limit, const char *name)
{
    g_autofree char *text = g_strndup(name, 64);
    return g_strconcat(limit->prefix, text, NULL);
}

/* Who has an address of IPv6 mostly has all of its /64, and would have as many tries again with
 * each. */
static char *network_of(const char *address)
{
    g_autoptr(GInetAddress) known = g_inet_address_new_from_string(address);
    struct in6_addr bytes;
    if (!known || g_inet_address_get_family(known) != G_SOCKET_FAMILY_IPV6)
        return g_strdup(address);
    memcpy(&bytes, g_inet_address_to_bytes(known), sizeof(bytes));
    if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
        g_autoptr(GInetAddress) within =
            g_inet_address_new_from_bytes(bytes.s6_addr + 12, G_SOCKET_FAMILY_IPV4);
        return g_inet_address_to_string(within);
    }
    memset(bytes.s6_addr + 8, 0, 8);
    g_autoptr(GInetAddress) network =
        g_inet_address_new_from_bytes(bytes.s6_addr, G_SOCKET_FAMILY_IPV6);
    g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new(network, 64, NULL);
    return g_inet_address_mask_to_string(mask);
}

static gboolean check(struct request *request, const struct limit *limit, const char *name,
                      GError **error)
{
    g_autofree char *key = key_of(limit, name);
    struct state_lockout lockout;
    if (!state_lockout_get(request_api(request)->state, key, &lockout, error))
        return FALSE;
    gint64 wait_us = lockout.until_us - state_now_us();
    if (wait_us <= 0)
        return TRUE;
    g_autofree char *seconds = g_strdup_printf("%" G_GINT64_FORMAT, wait_us / G_USEC_PER_SEC + 1);
    request_add_header(request, "Retry-After", seconds);
    g_set_error(error, API_ERROR, API_ERROR_TOO_MANY,
                "too many logins have failed: wait for %s seconds", seconds);
    return FALSE;
}

static gint64 lock_us(const struct limit *limit, gint64 failures)
{
    if (failures < limit->failures)
        return 0;
    gint64 doublings = MIN(failures - limit->failures, 16);
    return MIN((gint64)FIRST_LOCK_S << doublings, limit->longest_s) * G_USEC_PER_SEC;
}

static gboolean count(struct request *request, const struct limit *limit, const char *name,
                      GError **error)
{
    g_autofree char *key = key_of(limit, name);
    struct state *state = request_api(request)->state;
    struct state_lockout lockout;
    if (!state_lockout_get(state, key, &lockout, error))
        return FALSE;
    gint64 now_us = state_now_us();
    if (lockout.last_us < now_us - (gint64)FORGIVEN_AFTER_S * G_USEC_PER_SEC)
        lockout.failures = 0;
    lockout.failures++;
    lockout.last_us = now_us;
    lockout.until_us = now_us + lock_us(limit, lockout.failures);
    return state_lockout_set(state, request_address(request), key, &lockout, error);
}

gboolean lockout_try(struct request *request, const char *account, GError **error)
{
    g_autofree char *address = network_of(request_address(request));
    return check(request, &account_limit, account, error) &&
           check(request, &address_limit, address, error) &&
           count(request, &account_limit, account, error) &&
           count(request, &address_limit, address, error);
}

gboolean lockout_succeeded(struct request *request, const char *account, GError **error)
{
    g_autofree char *account_key = key_of(&account_limit, account);
    g_autofree char *address = network_of(request_address(request));
    g_autofree char *address_key = key_of(&address_limit, address);
    return state_lockout_clear(request_api(request)->state, account_key, error) &&
           state_lockout_clear(request_api(request)->state, address_key, error);
}

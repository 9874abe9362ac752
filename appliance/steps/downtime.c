/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/steps/downtime.h"
#include "base/json.h"

#include <string.h>

/* What takes no longer for large disks: fence, overlays, definition; QEMU's start. As measured on
 * two cores, and what to add for a slow host. */
#define SWITCH_S 0.3
#define SWITCH_HIGH_S 1.5
#define START_S 0.8
#define START_HIGH_S 3.0

/* While the guest shuts down it goes on writing. */
#define SHUTDOWN_S 5.0

#define THROUGHPUT_MIN (1024.0 * 1024.0)       /* bytes a second, so that nothing is divided by 0 */
#define READ_BYTES_S (200.0 * 1024.0 * 1024.0) /* a full proof's, until a cycle tells better */

struct experience {
    GArray *churn;     /* double, bytes a second, ascending */
    double fixed_s;    /* what a cycle takes that sends nothing */
    double throughput; /* bytes a second beyond that */
    double read;       /* bytes a second at the best */
    guint count;
};

static gint compare_doubles(gconstpointer a, gconstpointer b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* First copies tell nothing about changes; cycles on demand may follow one another at once. */
static gboolean take_cycle(struct experience *experience, JsonObject *cycle, double *ret_sent,
                           double *ret_seconds)
{
    double interval_s = (double)json_find_uint(cycle, "interval_s");
    double seconds = (double)json_find_uint(cycle, "cycle_ms") / 1000.0;
    double read = (double)json_find_uint(cycle, "read_bytes");
    if (interval_s <= 0 || seconds <= 0)
        return FALSE;
    *ret_sent = (double)json_find_uint(cycle, "sent_bytes");
    *ret_seconds = seconds;
    double churn = *ret_sent / interval_s;
    g_array_append_val(experience->churn, churn);
    experience->read = MAX(experience->read, read / seconds);
    experience->fixed_s = experience->count == 0 ? seconds : MIN(experience->fixed_s, seconds);
    experience->count++;
    return TRUE;
}

static void learn(struct experience *experience, JsonArray *cycles)
{
    double sent_sum = 0, seconds_sum = 0;
    for (guint i = 0; cycles && i < json_array_get_length(cycles); i++) {
        double sent, seconds;
        if (!take_cycle(experience, json_array_get_object_element(cycles, i), &sent, &seconds))
            continue;
        sent_sum += sent;
        seconds_sum += seconds;
    }
    double beyond = seconds_sum - experience->count * experience->fixed_s;
    experience->throughput = beyond > 0 ? sent_sum / beyond : sent_sum;
    experience->throughput = MAX(experience->throughput, THROUGHPUT_MIN);
    g_array_sort(experience->churn, compare_doubles);
}

/* The last cycle sends what was written since the pass before it began: as long as that pass took,
 * which its target bounds, and the shutdown. */
static double final_s(const struct experience *experience, double churn, double pass_target_s)
{
    double pass_s = MIN(MAX(experience->fixed_s, 1.0), pass_target_s);
    return experience->fixed_s + churn * (pass_s + SHUTDOWN_S) / experience->throughput;
}

static double full_proof_s(const struct step_work *work, const struct experience *experience,
                           guint64 disk_bytes)
{
    if (g_strcmp0(json_find_string(work->options, "verify"), "full") != 0)
        return 0;
    return (double)disk_bytes / MAX(experience->read, READ_BYTES_S);
}

static JsonObject *describe(const struct experience *experience, double verify_s,
                            double pass_target_s)
{
    JsonObject *result = json_object_new(), *parts = json_object_new();
    const double *churn = (const double *)experience->churn->data;
    double median = final_s(experience, churn[experience->count / 2], pass_target_s);
    double low = final_s(experience, churn[0], pass_target_s);
    double high = final_s(experience, churn[experience->count - 1], pass_target_s);
    g_autofree char *rate =
        g_format_size_full((guint64)churn[experience->count / 2], G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *basis =
        g_strdup_printf("%u cycles; it writes %s a second", experience->count, rate);
    json_object_set_double_member(parts, "final_cycle_s", median);
    if (verify_s > 0)
        json_object_set_double_member(parts, "verify_s", verify_s);
    json_object_set_double_member(parts, "switch_s", SWITCH_S);
    json_object_set_double_member(parts, "start_s", START_S);
    json_object_set_double_member(result, "expected_s", median + verify_s + SWITCH_S + START_S);
    json_object_set_double_member(result, "low_s", low + verify_s + SWITCH_S + START_S);
    json_object_set_double_member(result, "high_s",
                                  high + 2 * verify_s + SWITCH_HIGH_S + START_HIGH_S);
    json_object_set_string_member(result, "basis", basis);
    json_object_set_object_member(result, "parts", parts);
    return result;
}

JsonObject *downtime_expect(const struct step_work *work, guint64 disk_bytes)
{
    struct experience experience = {.churn = g_array_new(FALSE, FALSE, sizeof(double))};
    JsonObject *known = json_find_object(work->json, "known"), *result;
    guint64 pass = json_find_uint(work->options, "final_pass_s");
    learn(&experience, json_find_array(known, "cycles"));
    if (experience.count > 0) {
        double verify_s = full_proof_s(work, &experience, disk_bytes);
        result = describe(&experience, verify_s, pass > 0 ? (double)pass : 10.0);
    } else {
        result = json_object_new();
        json_object_set_string_member(result, "basis", "no cycle has been measured yet");
    }
    g_array_unref(experience.churn);
    return result;
}

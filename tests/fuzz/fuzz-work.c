/* SPDX-License-Identifier: Apache-2.0 */

/* Work as JSON: what is taken can be written and taken again. */

#include "base/json.h"
#include "replicator/work.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length);

int LLVMFuzzerTestOneInput(const guint8 *data, gsize length)
{
    g_autoptr(GError) error = NULL;
    struct work *work = work_parse((const char *)data, length, &error);
    g_assert_true(!work == !!error);
    if (!work || !work_check(work, &error)) {
        g_assert_nonnull(error);
        work_free(work);
        return 0;
    }
    g_autoptr(JsonObject) object = work_to_json(work);
    g_autofree char *text = json_object_to_text(object, FALSE);
    struct work *again = work_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    g_autoptr(JsonObject) object_again = work_to_json(again);
    g_autofree char *text_again = json_object_to_text(object_again, FALSE);
    g_assert_cmpstr(text, ==, text_again);
    work_free(work);
    work_free(again);
    return 0;
}

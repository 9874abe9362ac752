/* SPDX-License-Identifier: Apache-2.0 */

/* The report as a page. libxml2 builds and writes it, so that nothing in it can become a part of
 * the page. It needs no other file and runs nothing, and prints as it is shown. */

#include "appliance/failover/report.h"
#include "base/json.h"
#include "snapshot/xml.h"

#include <libxml/HTMLtree.h>
#include <string.h>

static const char *const style =
    "body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:62rem;"
    "margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "p.sum{font-size:1.05rem;margin:.3rem 0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "caption{text-align:left;color:#57606a;padding-bottom:.3rem}"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;"
    "border-bottom:1px solid #d0d7de;overflow-wrap:anywhere}"
    "th,td.w{white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;"
    "white-space:nowrap}"
    "code,pre{font:13px/1.45 ui-monospace,monospace}"
    "pre{background:#f6f8fa;padding:.7rem;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".good{color:#116329}.odd{color:#7d4e00}.bad{color:#a40e26}.good,.odd,.bad{font-weight:600}"
    "figure{margin:0}img{max-width:100%;border:1px solid #d0d7de}"
    "@media print{body{margin:0;max-width:none}details{display:block}h2{break-after:avoid}"
    "tr,figure{break-inside:avoid}}";

/* --- pieces --------------------------------------------------------------------------------------
 */

/* Text from hosts and guests: what XML cannot hold is shown as such. */
static char *plain(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
    g_autoptr(GString) out = g_string_new(NULL);
    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if ((c >= 0x20 && c != 0x7f && c != 0xfffe && c != 0xffff) || c == '\n' || c == '\t')
            g_string_append_unichar(out, c);
        else if (c != '\r')
            g_string_append_unichar(out, 0xfffd);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static xmlNodePtr add(xmlNodePtr parent, const char *name, const char *text)
{
    g_autofree char *clean = text ? plain(text) : NULL;
    return snapshot_xml_child(parent, name, clean);
}

static xmlNodePtr add_class(xmlNodePtr parent, const char *name, const char *class,
                            const char *text)
{
    xmlNodePtr node = add(parent, name, text);
    if (class)
        snapshot_xml_set(node, "class", class);
    return node;
}

static char *seconds(guint64 ms)
{
    return ms < 10000 ? g_strdup_printf("%.2f s", (double)ms / 1000)
                      : g_strdup_printf("%.1f s", (double)ms / 1000);
}

/* "2026-11-21 10:00:05.500 UTC"; NULL for NULL. The caller owns it. */
static char *moment(const char *iso8601)
{
    g_autoptr(GDateTime) at = iso8601 ? g_date_time_new_from_iso8601(iso8601, NULL) : NULL;
    g_autofree char *second = at ? g_date_time_format(at, "%Y-%m-%d %H:%M:%S") : NULL;
    return second ? g_strdup_printf("%s.%03d UTC", second, g_date_time_get_microsecond(at) / 1000)
                  : g_strdup(iso8601);
}

static const char *class_of(const char *word)
{
    static const char *const good[] = {"ok", "passed", "done", "live", NULL};
    static const char *const bad[] = {"blocked", "failed", "stuck", NULL};
    return !word                         ? NULL
           : g_strv_contains(good, word) ? "good"
           : g_strv_contains(bad, word)  ? "bad"
                                         : "odd";
}

/* A column of a table over an array of objects. */
struct column {
    const char *title;
    const char *member;
    enum { AS_TEXT, AS_NAME, AS_WORD, AS_MS, AS_BYTES, AS_CODE, AS_TIME, AS_PROOF } as;
};

static void add_number(xmlNodePtr row, JsonObject *object, const struct column *column)
{
    guint64 value = json_find_uint(object, column->member);
    g_autofree char *text = !json_object_has_member(object, column->member) ? g_strdup("")
                            : column->as == AS_MS
                                ? seconds(value)
                                : g_format_size_full(value, G_FORMAT_SIZE_IEC_UNITS);
    add_class(row, "td", "n", text);
}

static void add_proof(xmlNodePtr row, JsonObject *object, const struct column *column)
{
    JsonObject *proof = json_find_object(object, column->member);
    g_autofree char *size =
        g_format_size_full(json_find_uint(proof, "bytes"), G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *text =
        proof ? g_strdup_printf("%s, %s read on both sides", json_find_string(proof, "mode"), size)
              : g_strdup("-");
    add(row, "td", text);
}

static void add_cell(xmlNodePtr row, JsonObject *object, const struct column *column)
{
    const char *text = json_find_string(object, column->member);
    g_autofree char *time = NULL;
    switch (column->as) {
    case AS_NAME:
        add_class(row, "td", "w", text ? text : "-");
        break;
    case AS_WORD:
        add_class(row, "td", class_of(text), text ? text : "-");
        break;
    case AS_MS:
    case AS_BYTES:
        add_number(row, object, column);
        break;
    case AS_CODE:
        add(add(row, "td", NULL), "code", text ? text : "-");
        break;
    case AS_TIME:
        time = moment(text);
        add_class(row, "td", "w", time ? time : "-");
        break;
    case AS_PROOF:
        add_proof(row, object, column);
        break;
    default:
        add(row, "td", text ? text : "-");
    }
}

static void add_table(xmlNodePtr parent, const char *caption, JsonArray *rows,
                      const struct column *columns, gsize count)
{
    xmlNodePtr table = add(parent, "table", NULL);
    add(table, "caption", caption);
    xmlNodePtr head = add(add(table, "thead", NULL), "tr", NULL);
    for (gsize i = 0; i < count; i++) {
        gboolean number = columns[i].as == AS_MS || columns[i].as == AS_BYTES;
        snapshot_xml_set(add_class(head, "th", number ? "n" : NULL, columns[i].title), "scope",
                         "col");
    }
    xmlNodePtr body = add(table, "tbody", NULL);
    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonNode *node = json_array_get_element(rows, i);
        xmlNodePtr row = JSON_NODE_HOLDS_OBJECT(node) ? add(body, "tr", NULL) : NULL;
        for (gsize k = 0; row && k < count; k++)
            add_cell(row, json_node_get_object(node), &columns[k]);
    }
}

static gboolean is_empty(JsonArray *array)
{
    return !array || json_array_get_length(array) == 0;
}

/* --- sections ------------------------------------------------------------------------------------
 */

static void add_fact(xmlNodePtr table, const char *title, const char *text)
{
    if (!text)
        return;
    xmlNodePtr row = add(table, "tr", NULL);
    snapshot_xml_set(add(row, "th", title), "scope", "row");
    add(row, "td", text);
}

static char *title_of(JsonObject *operation)
{
    const char *kind = json_find_string(operation, "kind");
    const char *target = json_find_string(operation, "target");
    const char *name = json_find_string(json_find_object(operation, "machine"), "name");
    gboolean is_move = g_strcmp0(kind, "migrate") == 0;
    return g_strdup_printf("%s of %s%s%s",
                           is_move                        ? "Move"
                           : g_strcmp0(kind, "test") == 0 ? "Test"
                                                          : kind,
                           name,
                           !target   ? ""
                           : is_move ? " to "
                                     : " on ",
                           target ? target : "");
}

static void add_summary(xmlNodePtr body, JsonObject *report)
{
    JsonObject *operation = json_find_object(report, "operation");
    JsonObject *machine = json_find_object(operation, "machine");
    JsonObject *error = json_find_object(operation, "error");
    JsonObject *downtime = json_find_object(report, "downtime");
    const char *state = json_find_string(operation, "state");
    const char *verdict = json_find_string(operation, "verdict");
    guint64 point = json_find_uint(operation, "recovery_point");
    g_autofree char *number =
        g_strdup_printf("%" G_GUINT64_FORMAT, json_find_uint(operation, "id"));
    g_autofree char *point_text = point ? g_strdup_printf("%" G_GUINT64_FORMAT, point) : NULL;
    g_autofree char *asked = moment(json_find_string(operation, "asked_at"));
    g_autofree char *begun = moment(json_find_string(operation, "started_at"));
    g_autofree char *ended = moment(json_find_string(operation, "ended_at"));
    g_autofree char *down = downtime ? seconds(json_find_uint(downtime, "ms")) : NULL;
    xmlNodePtr sum = add_class(body, "p", "sum", NULL);
    add_class(sum, "span", class_of(verdict ? verdict : state), verdict ? verdict : state);
    if (down) {
        g_autofree char *text = g_strdup_printf(", down for %s", down);
        add(sum, "span", text);
    }
    if (error)
        add_class(body, "p", "bad", json_find_string(error, "message"));
    xmlNodePtr table = add(add(body, "table", NULL), "tbody", NULL);
    add_fact(table, "Operation", number);
    add_fact(table, "Machine", json_find_string(machine, "name"));
    add_fact(table, "UUID", json_find_string(machine, "uuid"));
    add_fact(table, "From", json_find_string(operation, "source"));
    add_fact(table, "To", json_find_string(operation, "target"));
    add_fact(table, "Recovery point", point_text);
    add_fact(table, "State", state);
    add_fact(table, "Asked for by", json_find_string(operation, "who"));
    add_fact(table, "Asked for at", asked);
    add_fact(table, "Begun", begun);
    add_fact(table, "Ended", ended);
}

static void add_downtime(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {{"Part", "step", AS_TEXT}, {"Time", "ms", AS_MS}};
    JsonObject *downtime = json_find_object(report, "downtime");
    JsonArray *parts = json_find_array(downtime, "parts");
    if (is_empty(parts))
        return;
    g_autofree char *off = moment(json_find_string(downtime, "off_at"));
    g_autofree char *running = moment(json_find_string(downtime, "running_at"));
    g_autofree char *caption = g_strdup_printf(
        "From the guest's power-off (%s) to the first instruction at the target (%s)", off,
        running);
    add(body, "h2", "Downtime");
    add_table(body, caption, parts, columns, G_N_ELEMENTS(columns));
}

static void add_timeline(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {
        {"At", "at", AS_TIME},         {"Of", "kind", AS_NAME},    {"Step", "step", AS_NAME},
        {"Outcome", "state", AS_WORD}, {"Took", "took_ms", AS_MS}, {"Message", "message", AS_TEXT}};
    JsonArray *timeline = json_find_array(report, "timeline");
    if (is_empty(timeline))
        return;
    add(body, "h2", "Timeline");
    add_table(body, "Each step, as it was written down", timeline, columns, G_N_ELEMENTS(columns));
}

static void add_data(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {{"Disk", "name", AS_NAME},
                                            {"Size", "size_bytes", AS_BYTES},
                                            {"Sent last", "sent_bytes", AS_BYTES},
                                            {"By", "mode", AS_NAME},
                                            {"Root hash", "root_hash", AS_CODE},
                                            {"Proven", "verified", AS_PROOF}};
    JsonObject *data = json_find_object(report, "data");
    JsonArray *disks = json_find_array(data, "disks");
    if (is_empty(disks))
        return;
    g_autofree char *sent =
        g_format_size_full(json_find_uint(data, "passes_bytes"), G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *caption = g_strdup_printf(
        "%" G_GUINT64_FORMAT " passes beforehand sent %s; then the last cycle, of the machine that "
        "was off",
        json_find_uint(data, "passes"), sent);
    add(body, "h2", "Data");
    add_table(body, caption, disks, columns, G_N_ELEMENTS(columns));
}

static void add_checks(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {{"In", "step", AS_NAME},
                                            {"Check", "check", AS_NAME},
                                            {"Verdict", "verdict", AS_WORD},
                                            {"Found", "message", AS_TEXT},
                                            {"After", "ms", AS_MS}};
    JsonArray *checks = json_find_array(report, "checks");
    if (is_empty(checks))
        return;
    add(body, "h2", "Checks");
    add_table(body, "Before (preflight), and on the machine at the target (watch)", checks, columns,
              G_N_ELEMENTS(columns));
}

static void add_screen(xmlNodePtr body, JsonObject *report, const char *screenshot)
{
    g_autofree char *contents = NULL;
    gsize length = 0;
    if (!screenshot || !g_file_get_contents(screenshot, &contents, &length, NULL) || length == 0)
        return;
    g_autofree char *base64 = g_base64_encode((const guchar *)contents, length);
    g_autofree char *uri = g_strconcat("data:image/png;base64,", base64, NULL);
    const char *name = json_find_string(json_find_object(report, "definition"), "name");
    g_autofree char *text = g_strdup_printf(
        "The screen of %s at the target, at the end of the watch", name ? name : "the machine");
    add(body, "h2", "Screen");
    xmlNodePtr figure = add(body, "figure", NULL);
    xmlNodePtr image = add(figure, "img", NULL);
    snapshot_xml_set(image, "src", uri);
    snapshot_xml_set(image, "alt", text);
    add(figure, "figcaption", text);
}

static void add_console(xmlNodePtr body, JsonObject *report)
{
    JsonArray *lines = json_find_array(report, "console");
    g_autoptr(GString) text = g_string_new(NULL);
    if (is_empty(lines))
        return;
    for (guint i = 0; i < json_array_get_length(lines); i++) {
        JsonNode *line = json_array_get_element(lines, i);
        if (JSON_NODE_HOLDS_VALUE(line) && json_node_get_value_type(line) == G_TYPE_STRING)
            g_string_append_printf(text, "%s\n", json_node_get_string(line));
    }
    add(body, "h2", "Console");
    add(body, "pre", text->str);
}

static void add_definition(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {{"What", "what", AS_TEXT},
                                            {"From", "from", AS_TEXT},
                                            {"To", "to", AS_TEXT},
                                            {"Why", "why", AS_TEXT}};
    JsonObject *definition = json_find_object(report, "definition");
    JsonArray *changes = json_find_array(definition, "changes");
    const char *xml = json_find_string(definition, "xml");
    if (!xml)
        return;
    add(body, "h2", "Definition");
    if (!is_empty(changes))
        add_table(body, "What differs at the target", changes, columns, G_N_ELEMENTS(columns));
    xmlNodePtr details = add(body, "details", NULL);
    add(details, "summary", "The definition at the target");
    add(details, "pre", xml);
}

static void add_followed(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {{"What", "kind", AS_NAME},
                                            {"State", "state", AS_WORD},
                                            {"Asked for by", "who", AS_TEXT},
                                            {"Begun", "started_at", AS_TIME},
                                            {"Ended", "ended_at", AS_TIME}};
    JsonArray *followed = json_find_array(report, "followed_by");
    if (is_empty(followed))
        return;
    add(body, "h2", "Afterwards");
    add_table(body, "What was done with it", followed, columns, G_N_ELEMENTS(columns));
}

static void add_left(xmlNodePtr body, JsonObject *report)
{
    static const struct column columns[] = {{"What", "what", AS_TEXT},
                                            {"What takes it away, there", "command", AS_TEXT}};
    JsonObject *left = json_find_object(report, "left_behind");
    JsonArray *things = left ? json_find_array(left, "left") : NULL;
    if (is_empty(things))
        return;
    g_autofree char *text = g_strdup_printf(
        "Host %s was abandoned (%s). What is left there must never be started again.",
        json_find_string(left, "host"), json_find_string(left, "why"));
    add(body, "h2", "Left behind");
    add_table(body, text, things, columns, G_N_ELEMENTS(columns));
}

/* --- the page ------------------------------------------------------------------------------------
 */

static void add_meta(xmlNodePtr head, const char *attribute, const char *name, const char *content)
{
    xmlNodePtr meta = add(head, "meta", NULL);
    snapshot_xml_set(meta, attribute, name);
    if (content)
        snapshot_xml_set(meta, "content", content);
}

static void add_head(xmlNodePtr html, const char *title)
{
    xmlNodePtr head = add(html, "head", NULL);
    add_meta(head, "charset", "utf-8", NULL);
    add_meta(head, "http-equiv", "Content-Security-Policy",
             "default-src 'none'; img-src data:; style-src 'unsafe-inline'");
    add_meta(head, "name", "viewport", "width=device-width, initial-scale=1");
    add(head, "title", title);
    add(head, "style", style);
}

char *report_page(JsonObject *report, const char *screenshot)
{
    g_autofree char *title = title_of(json_find_object(report, "operation"));
    g_autoptr(xmlDoc) document = htmlNewDocNoDtD(NULL, NULL);
    xmlNodePtr html = xmlNewNode(NULL, (const xmlChar *)"html");
    xmlCreateIntSubset(document, (const xmlChar *)"html", NULL, NULL);
    xmlDocSetRootElement(document, html);
    snapshot_xml_set(html, "lang", "en");
    add_head(html, title);
    xmlNodePtr body = add(add(html, "body", NULL), "main", NULL);
    add(body, "h1", title);
    add_summary(body, report);
    add_downtime(body, report);
    add_timeline(body, report);
    add_data(body, report);
    add_checks(body, report);
    add_screen(body, report, screenshot);
    add_console(body, report);
    add_definition(body, report);
    add_followed(body, report);
    add_left(body, report);
    xmlChar *text = NULL;
    int length = 0;
    htmlDocDumpMemoryFormat(document, &text, &length, 0);
    char *copy = g_strdup((const char *)text);
    xmlFree(text);
    return copy;
}

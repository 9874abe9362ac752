/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the daemon answers, as people read it: tables of objects, and one object line by line. Which
 * members are shown, and how, is a table of columns. */

#include <json-glib/json-glib.h>

struct listing_column {
    const char *title;
    const char *path; /* "last_point.at": members within members */

    /* The member as text, owned by the caller; NULL or "" for nothing. */
    char *(*cell)(JsonObject *row, const char *path);
    gboolean right;
};

/* The member at the path; NULL when it or one on the way to it is missing, or null. */
JsonNode *listing_node(JsonObject *row, const char *path);
const char *listing_string(JsonObject *row, const char *path); /* NULL when it is no string */
gint64 listing_int(JsonObject *row, const char *path);         /* 0 when it is no number */

char *listing_cell_text(JsonObject *row, const char *path);  /* strings, numbers, booleans, lists */
char *listing_cell_bytes(JsonObject *row, const char *path); /* 4.0 GiB */
char *listing_cell_rate(JsonObject *row, const char *path);  /* 80.1 MiB/s; nothing for 0 */
char *listing_cell_time(JsonObject *row, const char *path);  /* 2026-01-31 12:00:00Z */
char *listing_cell_ago(JsonObject *row, const char *path);   /* 5 min, since a time */
char *listing_cell_until(JsonObject *row, const char *path); /* 5 min until a time; now */
char *listing_cell_seconds(JsonObject *row, const char *path); /* 15 min, of a number of seconds */
char *listing_cell_ms(JsonObject *row, const char *path);      /* 0.42 s, of milliseconds */
char *listing_cell_problem(JsonObject *row, const char *path); /* an error's message */

/* Of a check: verdict, check, message and hint. */
extern const struct listing_column listing_check_columns[];

/* A table of objects, columns up to the one without a title. */
void listing_print(JsonArray *rows, const struct listing_column *columns);

/* "title   value" a line; members without a value are left out. */
void listing_print_one(JsonObject *row, const struct listing_column *columns);

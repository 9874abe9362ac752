/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the translation share. Each takes one subject of the definition, and changes
 * the document in place. */

#include "appliance/steps/translate.h"
#include "snapshot/xml.h"

enum translate_level { TRANSLATE_INFO, TRANSLATE_WARNING, TRANSLATE_BLOCKED };

struct translating {
    xmlDocPtr document;     /* the definition */
    xmlDocPtr capabilities; /* the target's, for the choice */
    const struct translate_settings *settings;
    const struct translate_choice *choice;
    JsonArray *changes;
    gboolean blocked;
};

/* Tells a change. from and to may be NULL. */
void translate_note(struct translating *translating, enum translate_level level, const char *what,
                    const char *from, const char *to, const char *why);

/* Removes the nodes of an XPath expression, and tells each as what (NULL: its own name); why NULL:
 * nothing is told. */
void translate_drop(struct translating *translating, const char *xpath, enum translate_level level,
                    const char *what, const char *why);

/* Sets an attribute, and tells that under the name what where it was another. */
void translate_set(struct translating *translating, xmlNodePtr node, const char *attribute,
                   const char *value, const char *what, const char *why);

/* The only node of an XPath expression, or NULL. */
xmlNodePtr translate_node(xmlDocPtr document, const char *xpath);

/* The node of that path below /domain, made with its parents where it is missing. */
xmlNodePtr translate_element(struct translating *translating, const char *parent, const char *name);

void translate_set_text(xmlNodePtr node, const char *text);

/* The first child of that name, emptied where it stands, so that what is left of it in a comparison
 * is what differs; or a new one. */
xmlNodePtr translate_fresh_child(xmlNodePtr node, const char *name);

/* Removes an element's children of that name, and its attribute of that name. */
void translate_remove_child(xmlNodePtr node, const char *name);
void translate_remove_attribute(xmlNodePtr node, const char *name);

/* Whether the target's capabilities have value in the list that the XPath expression names; a list
 * that is not there says nothing, and counts as yes. */
gboolean translate_offered(struct translating *translating, const char *list, const char *value);

/* --- one file each --- */
void translate_firmware(struct translating *translating);
void translate_cpu(struct translating *translating);
void translate_disks(struct translating *translating);
void translate_nics(struct translating *translating);
void translate_chardevs(struct translating *translating);
void translate_display(struct translating *translating);
void translate_tpm(struct translating *translating);
void translate_host_parts(struct translating *translating);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* libvirt's XML: parse, ask with XPath, build. For this room and for others that read or write
 * definitions. */

#include <glib.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlXPathContext, xmlXPathFreeContext)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlXPathObject, xmlXPathFreeObject)

/* Parses text; what names it in the error. */
xmlDocPtr snapshot_xml_parse(const char *text, const char *what, GError **error);

/* The string an XPath expression gives at node (NULL: the document), or NULL when empty. */
char *snapshot_xml_string(xmlDocPtr document, xmlNodePtr node, const char *xpath);

/* Whether an XPath expression holds, or finds anything, at node (NULL: the document). */
gboolean snapshot_xml_holds(xmlDocPtr document, xmlNodePtr node, const char *xpath);

/* The nodes an XPath expression gives at node (NULL: the document): array of borrowed xmlNodePtr.
 * Freed by the caller. */
GPtrArray *snapshot_xml_nodes(xmlDocPtr document, xmlNodePtr node, const char *xpath);

/* The document as text, indented; one of its elements as text. Owned by the caller. */
char *snapshot_xml_text(xmlDocPtr document);
char *snapshot_xml_node_text(xmlDocPtr document, xmlNodePtr node);

void snapshot_xml_set(xmlNodePtr node, const char *attribute, const char *value);
xmlNodePtr snapshot_xml_child(xmlNodePtr parent, const char *name, const char *text);

/* Takes the node out of its document, and frees it. */
void snapshot_xml_remove(xmlNodePtr node);

/* SPDX-License-Identifier: Apache-2.0 */
/* libxml2: XML is never put together or taken apart as text anywhere else. */
#include "snapshot/xml.h"
#include "base/error.h"

#include <libxml/parser.h>
#include <string.h>

xmlDocPtr snapshot_xml_parse(const char *text, const char *what, GError **error)
{
    xmlDocPtr document = xmlReadMemory(text, (int)strlen(text), NULL, NULL,
                                       XML_PARSE_NONET | XML_PARSE_NOBLANKS | XML_PARSE_NOERROR |
                                           XML_PARSE_NOWARNING);
    /* libvirt declares no document type. Entities, which such a declaration brings, can blow a few
     * kilobytes up to gigabytes. */
    if (document && document->intSubset)
        g_clear_pointer(&document, xmlFreeDoc);
    if (!document)
        landfall_error_set(error, LANDFALL_ERROR_SOURCE,
                           "the host's libvirt and this program do not understand each other: "
                           "report both versions",
                           "%s from libvirt is not XML, or not of its kind", what);
    return document;
}

static xmlXPathObjectPtr evaluate(xmlDocPtr document, xmlNodePtr node, const char *xpath)
{
    g_autoptr(xmlXPathContext) context = xmlXPathNewContext(document);
    if (!context)
        return NULL;
    if (node)
        xmlXPathSetContextNode(node, context);
    return xmlXPathEvalExpression((const xmlChar *)xpath, context);
}

char *snapshot_xml_string(xmlDocPtr document, xmlNodePtr node, const char *xpath)
{
    g_autoptr(xmlXPathObject) object = evaluate(document, node, xpath);
    if (!object)
        return NULL;
    xmlChar *text = xmlXPathCastToString(object);
    char *copy = text && *text ? g_strdup((const char *)text) : NULL;
    xmlFree(text);
    return copy;
}

gboolean snapshot_xml_holds(xmlDocPtr document, xmlNodePtr node, const char *xpath)
{
    g_autoptr(xmlXPathObject) object = evaluate(document, node, xpath);
    return object && xmlXPathCastToBoolean(object);
}

GPtrArray *snapshot_xml_nodes(xmlDocPtr document, xmlNodePtr node, const char *xpath)
{
    GPtrArray *nodes = g_ptr_array_new();
    g_autoptr(xmlXPathObject) object = evaluate(document, node, xpath);
    if (object && object->nodesetval)
        for (int i = 0; i < object->nodesetval->nodeNr; i++)
            g_ptr_array_add(nodes, object->nodesetval->nodeTab[i]);
    return nodes;
}

char *snapshot_xml_text(xmlDocPtr document)
{
    xmlChar *text = NULL;
    int length = 0;
    xmlDocDumpFormatMemoryEnc(document, &text, &length, "UTF-8", 1);
    char *copy = g_strdup((const char *)text);
    xmlFree(text);
    return copy;
}

void snapshot_xml_set(xmlNodePtr node, const char *attribute, const char *value)
{
    xmlSetProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
}

xmlNodePtr snapshot_xml_child(xmlNodePtr parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

void snapshot_xml_remove(xmlNodePtr node)
{
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

char *snapshot_xml_node_text(xmlDocPtr document, xmlNodePtr node)
{
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlNodeDump(buffer, document, node, 0, 0);
    char *copy = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return copy;
}

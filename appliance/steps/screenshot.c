/* SPDX-License-Identifier: Apache-2.0 */

/* Older hosts give a PPM: "P6", width, height, 255, each ended by white space, then three bytes a
 * pixel. It is written by QEMU alone, so without comments. */

#include "appliance/steps/screenshot.h"

#include <png.h>
#include <string.h>

#define BYTES_MAX (64u * 1024u * 1024u) /* 4096 by 4096 pixels and more */
#define CHUNK_BYTES 65536u
#define SIDE_MAX 16384u
#define PNG_MAGIC "\x89PNG\r\n\x1a\n"

static gboolean receive(virStreamPtr stream, GByteArray *image)
{
    g_autofree char *data = g_malloc(CHUNK_BYTES);
    int n;
    while ((n = virStreamRecv(stream, data, CHUNK_BYTES)) > 0 && image->len < BYTES_MAX)
        g_byte_array_append(image, (guint8 *)data, (guint)n);
    if (n == 0)
        return virStreamFinish(stream) == 0;
    virStreamAbort(stream);
    return FALSE;
}

/* TRUE without an image: there is no screen. */
static gboolean fetch(const struct step_host *host, virDomainPtr domain, GByteArray *image,
                      GError **error)
{
    virStreamPtr stream = virStreamNew(host->connection, 0);
    char *mime = stream ? virDomainScreenshot(domain, stream, 0, 0) : NULL;
    gboolean none = stream && !mime &&
                    (virGetLastErrorCode() == VIR_ERR_INVALID_ARG ||
                     virGetLastErrorCode() == VIR_ERR_OPERATION_UNSUPPORTED);
    gboolean ok = none || (mime && receive(stream, image));
    if (!ok)
        snapshot_libvirt_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                                   "host %s gives no picture of the screen", host->name);
    free(mime);
    if (stream)
        virStreamFree(stream);
    return ok;
}

/* The offset of the pixels, 0 when it is none. */
static gsize ppm_header(const GByteArray *image, png_image *png)
{
    guint64 width, height, depth;
    g_autofree char *head = g_strndup((const char *)image->data, MIN(image->len, 64u));
    g_auto(GStrv) words = g_strsplit_set(head, " \t\n", 5);
    if (g_strv_length(words) != 5 || strcmp(words[0], "P6") != 0 ||
        !g_ascii_string_to_unsigned(words[1], 10, 1, SIDE_MAX, &width, NULL) ||
        !g_ascii_string_to_unsigned(words[2], 10, 1, SIDE_MAX, &height, NULL) ||
        !g_ascii_string_to_unsigned(words[3], 10, 255, 255, &depth, NULL))
        return 0;
    gsize offset = 4;
    for (gsize i = 0; i < 4; i++)
        offset += strlen(words[i]);
    png->width = (png_uint_32)width;
    png->height = (png_uint_32)height;
    png->format = PNG_FORMAT_RGB;
    return image->len >= offset + width * height * 3 ? offset : 0;
}

/* NULL: it is no PPM. */
static GByteArray *ppm_to_png(const GByteArray *image)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    gsize offset = ppm_header(image, &png);
    png_alloc_size_t size = 0;
    if (!offset || !png_image_write_to_memory(&png, NULL, &size, 0, image->data + offset, 0, NULL))
        return NULL;
    GByteArray *written = g_byte_array_sized_new((guint)size);
    g_byte_array_set_size(written, (guint)size);
    if (png_image_write_to_memory(&png, written->data, &size, 0, image->data + offset, 0, NULL))
        return written;
    g_byte_array_unref(written);
    return NULL;
}

static gboolean is_png(const GByteArray *image)
{
    return image->len > strlen(PNG_MAGIC) && memcmp(image->data, PNG_MAGIC, strlen(PNG_MAGIC)) == 0;
}

gboolean screenshot_take(const struct step_host *host, virDomainPtr domain, const char *path,
                         gboolean *ret_taken, GError **error)
{
    g_autoptr(GByteArray) image = g_byte_array_new();
    g_autoptr(GError) cause = NULL;
    if (!fetch(host, domain, image, error))
        return FALSE;
    *ret_taken = image->len > 0;
    if (!*ret_taken)
        return TRUE;
    g_autoptr(GByteArray) png = is_png(image) ? g_byte_array_ref(image) : ppm_to_png(image);
    if (!png) {
        landfall_error_set(error, LANDFALL_ERROR_SOURCE, NULL,
                           "host %s gives a picture of an unknown kind", host->name);
        return FALSE;
    }
    if (g_file_set_contents_full(path, (const char *)png->data, (gssize)png->len,
                                 G_FILE_SET_CONTENTS_CONSISTENT, 0600, &cause))
        return TRUE;
    landfall_error_set(error, LANDFALL_ERROR_INTERNAL, NULL, "cannot write the picture: %s",
                       cause->message);
    return FALSE;
}

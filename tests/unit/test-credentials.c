/* SPDX-License-Identifier: Apache-2.0 */

#include "appliance/inventory/credentials.h"
#include "appliance/state/hosts.h"
#include "appliance/state/secrets.h"
#include "tests/unit/temp-folder.h"

#include <string.h>
#include <sys/stat.h>

#define KEY "-----BEGIN OPENSSH PRIVATE KEY-----\n"

struct fixture {
    char *folder;
    char *runtime_dir;
    char *key_path;
    struct state *state;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    (void)data;
    fixture->folder = temp_folder_new();
    fixture->runtime_dir = g_build_filename(fixture->folder, "run", NULL);
    fixture->key_path = g_build_filename(fixture->runtime_dir, "keys", "h", NULL);
    g_assert_cmpint(mkdir(fixture->runtime_dir, 0700), ==, 0);
    g_autofree char *state_dir = g_build_filename(fixture->folder, "state", NULL);
    fixture->state = state_open(state_dir, NULL, &error);
    g_assert_no_error(error);
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    state_free(fixture->state);
    temp_folder_free(fixture->folder);
    g_free(fixture->runtime_dir);
    g_free(fixture->key_path);
}

static void add(struct fixture *fixture, const char *uri, const char *secret, const char *value)
{
    g_autoptr(GError) error = NULL;
    state_host_add(fixture->state, "test", "h", uri, "both", &error);
    if (secret)
        state_secret_set(fixture->state, "test", "host/h", secret, value, strlen(value), &error);
    g_assert_no_error(error);
}

static struct credentials *load(struct fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    struct credentials *credentials =
        credentials_load(fixture->state, fixture->runtime_dir, "h", &error);
    g_assert_no_error(error);
    return credentials;
}

static void test_plain(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add(fixture, "qemu:///system", NULL, NULL);
    struct credentials *credentials = load(fixture);
    g_assert_cmpstr(credentials->uri, ==, "qemu:///system");
    g_assert_null(credentials->user);
    g_assert_null(credentials->password);
    credentials_free(credentials);
    g_assert_false(g_file_test(fixture->key_path, G_FILE_TEST_EXISTS));
}

static void test_password(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add(fixture, "esx://root@esx1/?no_verify=1", "password", "secret");
    struct credentials *credentials = load(fixture);
    g_assert_cmpstr(credentials->uri, ==, "esx://root@esx1/?no_verify=1");
    g_assert_cmpstr(credentials->user, ==, "root");
    g_assert_cmpstr(g_bytes_get_data(credentials->password, NULL), ==, "secret");
    credentials_free(credentials);
}

static void test_key(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add(fixture, "qemu+ssh://root@h1/system?netcat=/bin/nc", "ssh-key", KEY);
    struct credentials *credentials = load(fixture);
    g_autofree char *expected = g_strdup_printf(
        "qemu+ssh://root@h1/system?netcat=/bin/nc&no_tty=1&keyfile=%s", fixture->key_path);
    g_assert_cmpstr(credentials->uri, ==, expected);
    credentials_free(credentials);

    g_autofree char *text = NULL;
    struct stat file;
    g_assert_true(g_file_get_contents(fixture->key_path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, KEY);
    g_assert_cmpint(stat(fixture->key_path, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 07777, ==, 0600);
    g_autofree char *folder = g_path_get_dirname(fixture->key_path);
    g_assert_cmpint(stat(folder, &file), ==, 0);
    g_assert_cmpint(file.st_mode & 07777, ==, 0700);

    credentials_forget(fixture->runtime_dir, "another");
    g_assert_true(g_file_test(fixture->key_path, G_FILE_TEST_EXISTS));
    credentials_forget(fixture->runtime_dir, "h");
    g_assert_false(g_file_test(fixture->key_path, G_FILE_TEST_EXISTS));
    credentials_free(load(fixture));
    credentials_forget(fixture->runtime_dir, NULL);
    g_assert_false(g_file_test(fixture->key_path, G_FILE_TEST_EXISTS));
}

static void test_ssh_without_key(struct fixture *fixture, gconstpointer data)
{
    (void)data;
    add(fixture, "qemu+ssh://h1/system", NULL, NULL);
    struct credentials *credentials = load(fixture);
    g_assert_cmpstr(credentials->uri, ==, "qemu+ssh://h1/system?no_tty=1");
    credentials_free(credentials);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add(name, struct fixture, NULL, set_up, test, tear_down)
    ADD("/credentials/none", test_plain);
    ADD("/credentials/A27: a password", test_password);
    ADD("/credentials/A27: a key lies in a file while it is needed", test_key);
    ADD("/credentials/ssh never asks", test_ssh_without_key);
    return g_test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/cli/password.h"
#include "appliance/cli/command.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_BYTES_MAX 1024

void password_free(char *password)
{
    if (password)
        explicit_bzero(password, strlen(password));
    g_free(password);
}

/* One line from fd without its end; owned by the caller. A signal ends the wait. */
static char *read_line(int fd, GError **error)
{
    char line[PASSWORD_BYTES_MAX + 1];
    gsize length = 0;
    gssize got = 0;
    const gint *cancelled = command_cancelled();
    while (length < PASSWORD_BYTES_MAX) {
        struct pollfd ready = {fd, POLLIN, 0};
        if (poll(&ready, 1, -1) < 0 && errno == EINTR && !g_atomic_int_get(cancelled))
            continue;
        got = g_atomic_int_get(cancelled) ? 0 : read(fd, line + length, 1);
        if (got <= 0 || line[length] == '\n')
            break;
        length++;
    }
    line[length] = '\0';
    char *password = NULL;
    if (g_atomic_int_get(cancelled))
        landfall_error_set(error, LANDFALL_ERROR_CANCELLED, NULL, "cancelled");
    else if (length == 0 || length == PASSWORD_BYTES_MAX || !g_utf8_validate(line, -1, NULL))
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "a password is one line of text",
                           "there is no password");
    else
        password = g_strdup(line);
    explicit_bzero(line, sizeof line);
    return password;
}

static char *ask(int terminal, const char *prompt, GError **error)
{
    struct termios before, silent;
    if (tcgetattr(terminal, &before) != 0 ||
        write(terminal, prompt, strlen(prompt)) != (gssize)strlen(prompt)) {
        landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, NULL, "the terminal");
        return NULL;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(terminal, TCSAFLUSH, &silent);
    char *password = read_line(terminal, error);
    tcsetattr(terminal, TCSAFLUSH, &before);
    return write(terminal, "\n", 1) == 1 ? password : password;
}

static char *ask_twice(const char *prompt, GError **error)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, "give --password-file",
                           "there is no terminal to ask for the password on");
        return NULL;
    }
    g_autofree char *again_prompt = g_strconcat(prompt, "again: ", NULL);
    char *password = ask(terminal, prompt, error);
    char *again = password ? ask(terminal, again_prompt, error) : NULL;
    if (again && strcmp(password, again) != 0) {
        landfall_error_set(error, LANDFALL_ERROR_CONFIG, NULL, "the two are not the same");
        g_clear_pointer(&again, password_free);
    }
    password_free(password);
    close(terminal);
    return again;
}

char *password_read(const char *file, const char *prompt, GError **error)
{
    if (!file)
        return ask_twice(prompt, error);
    if (strcmp(file, "-") == 0)
        return read_line(STDIN_FILENO, error);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        landfall_error_set_errno(error, LANDFALL_ERROR_CONFIG, errno, NULL, "cannot open %s", file);
        return NULL;
    }
    char *password = read_line(fd, error);
    if (!password)
        g_prefix_error(error, "%s: ", file);
    close(fd);
    return password;
}

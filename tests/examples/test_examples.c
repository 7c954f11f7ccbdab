/* SPDX-License-Identifier: MIT */

/* The programs of docs/examples, run as they were built and watched from outside. */

#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/sanitize.h"
#include "tests/harness.h"

struct program {
    pid_t pid; /* -1 when it could not be started */
    FILE *output;
};

/* -- Programs ---------------------------------------------------------------------- */

/* The example of the same build as this program, tests/examples/NAME there. */
static bool example_path(const char *name, char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);

    if (!CHECK(length > 0))
        return false;
    path[length] = '\0';
    size_t folder = (size_t)(strrchr(path, '/') + 1 - path);
    int added = snprintf(path + folder, size - folder, "../../examples/%s", name);
    return CHECK((size_t)added < size - folder);
}

/* Reads what it prints, on stderr too if [errors]. */
static struct program program_start(const char *name, const char *argument, bool errors)
{
    struct program program = {.pid = -1};
    char path[4096];
    int ends[2];

    if (!example_path(name, path, sizeof path) || !CHECK(pipe2(ends, O_CLOEXEC) == 0))
        return program;
    program.pid = fork();
    if (program.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        if (errors)
            dup2(ends[1], STDERR_FILENO);
        execl(path, name, argument, NULL);
        _exit(127);
    }
    close(ends[1]);
    program.output = fdopen(ends[0], "r");
    CHECK(program.pid > 0 && program.output);
    return program;
}

/* The exit status, or -1. */
static int program_wait(struct program *program)
{
    int status = -1;

    if (program->pid <= 0)
        return -1;
    CHECK_EQUAL(waitpid(program->pid, &status, 0), program->pid);
    fclose(program->output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* All of a text that ends, as a string. */
static void read_text(FILE *file, char *text, size_t size)
{
    text[fread(text, 1, size - 1, file)] = '\0';
    CHECK(feof(file));
}

/* -- hello ------------------------------------------------------------------------- */

/* When a tick falls into the computation, on a slow machine, its line comes first; so
 * the lines are compared, and not their order. */
static void hello_prints_what_the_readme_says(void)
{
    char expected[256], text[256], line[64];
    FILE *file = fopen("docs/examples/hello.out", "r");
    struct program hello = program_start("hello", NULL, false);

    if (!CHECK(file) || !CHECK(hello.output))
        return;
    read_text(hello.output, text, sizeof text);
    CHECK_EQUAL(program_wait(&hello), 0);
    while (fgets(line, sizeof line, file))
        if (!CHECK(strstr(text, line)))
            fprintf(stderr, "no line %sin:\n%s", line, text);
    rewind(file);
    read_text(file, expected, sizeof expected);
    CHECK_EQUAL(strlen(text), strlen(expected));
    fclose(file);
}

/* -- Those of the guide ------------------------------------------------------------ */

/* Each prints exactly what stands beside it in docs/examples/NAME.out, the same in any
 * build and under any load: those that measure or wait do it in virtual time. */
#define EXAMPLES(X) \
    X(actors) \
    X(bounded) \
    X(crawler) \
    X(determinism) \
    X(event) \
    X(group) \
    X(kill) \
    X(link) \
    X(locals) \
    X(lock) \
    X(map) \
    X(offload) \
    X(parallel) \
    X(polling) \
    X(repeatable) \
    X(result) \
    X(scope) \
    X(select) \
    X(semaphore) \
    X(shutdown) \
    X(sockets) \
    X(spawning) \
    X(state) \
    X(switching) \
    X(tasks) \
    X(timeouts) \
    X(workers)

/* Fails when there is no such file. */
static bool read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");

    if (!CHECK(file))
        return false;
    read_text(file, text, size);
    fclose(file);
    return true;
}

/* All that the example prints, in virtual time. */
static bool run_example(const char *name, bool errors, char *text, size_t size)
{
    setenv("GROVE_CLOCK", "virtual", 1);
    struct program example = program_start(name, NULL, errors);
    unsetenv("GROVE_CLOCK");
    if (!CHECK(example.output))
        return false;
    read_text(example.output, text, size);
    return CHECK_EQUAL(program_wait(&example), 0);
}

static void prints_what_stands_beside_it(const char *name)
{
    char path[64], expected[4096], text[4096];

    snprintf(path, sizeof path, "docs/examples/%s.out", name);
    if (read_file(path, expected, sizeof expected) &&
        run_example(name, false, text, sizeof text))
        CHECK_STRING(text, expected);
}

#define EXAMPLE_TEST(name) \
    static void name##_example(void) \
    { \
        prints_what_stands_beside_it(#name); \
    }
EXAMPLES(EXAMPLE_TEST)

/* Leaves out of a report what differs from run to run: numbers, and places in code. */
static void outline(char *text)
{
    static const char number[] = "0123456789abcdefx.";
    char *to = text;

    for (const char *from = text; *from;) {
        if (strncmp(from, ", spawned at", 12) == 0)
            from += strcspn(from, "\n");
        if (isdigit((unsigned char)*from)) {
            from += strspn(from, number);
            *to++ = 'N';
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

/* The thread of ThreadSanitizer is one that could still wake somebody, for all that the
 * library knows: under it there is no deadlock. */
static void deadlock_is_reported(void)
{
    char expected[4096], text[4096];

    if (SANITIZE_THREAD)
        return;
    if (read_file("docs/examples/deadlock.out", expected, sizeof expected) &&
        run_example("deadlock", true, text, sizeof text)) {
        outline(text);
        outline(expected);
        CHECK_STRING(text, expected);
    }
}

static void no_output_is_left_out(void)
{
#define EXAMPLE_OUTPUT(name) "docs/examples/" #name ".out",
    static const char *const known[] = {
        EXAMPLES(EXAMPLE_OUTPUT) "docs/examples/deadlock.out",
        "docs/examples/hello.out"};
    glob_t found;

    if (!CHECK_EQUAL(glob("docs/examples/*.out", 0, NULL, &found), 0))
        return;
    CHECK_EQUAL(found.gl_pathc, sizeof known / sizeof *known);
    globfree(&found);
}

/* -- service ----------------------------------------------------------------------- */

static struct program service;
static in_port_t service_port;

static bool service_start(void)
{
    char line[64] = "";
    unsigned port = 0;

    service = program_start("service", "0", false);
    if (!service.output || !fgets(line, sizeof line, service.output) ||
        sscanf(line, "listening on port %u with", &port) != 1)
        CHECK_STRING(line, "listening on port N with N workers\n");
    service_port = htons((in_port_t)port);
    return port > 0;
}

/* Ends it as its user does: all that it says then is that it stopped. */
static void service_stop(void)
{
    char text[64] = "";

    if (!CHECK(service.pid > 0))
        return;
    CHECK_EQUAL(kill(service.pid, SIGTERM), 0);
    read_text(service.output, text, sizeof text);
    CHECK_STRING(text, "stopped\n");
    CHECK_EQUAL(program_wait(&service), 0);
}

/* A connection on which this has been asked; NULL when that failed. */
static FILE *ask(const char *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = service_port,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!CHECK(fd >= 0))
        return NULL;
    if (!CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0) ||
        !CHECK_EQUAL(send(fd, request, strlen(request), 0), strlen(request))) {
        close(fd);
        return NULL;
    }
    return fdopen(fd, "r");
}

/* The answer has this status line and this body, and then the service closes. */
static void expect(const char *request, const char *status, const char *body)
{
    char text[1024];
    FILE *connection = ask(request);

    if (!CHECK(connection))
        return;
    read_text(connection, text, sizeof text);
    fclose(connection);
    char *head_end = strstr(text, "\r\n\r\n");
    if (!CHECK(head_end))
        return;
    CHECK_STRING(head_end + 4, body);
    *strchr(text, '\r') = '\0';
    CHECK_STRING(text, status);
}

#define GET(target) "GET " target " HTTP/1.1\r\nConnection: close\r\n\r\n"
#define ELSEWHERE "try /, /fib?n=30 (to 40) or /sleep?ms=20\n"

static void service_answers(void)
{
    if (!service_start())
        return;
    expect(GET("/"), "HTTP/1.1 200 OK", "hello\n");
    expect(GET("/fib?n=20"), "HTTP/1.1 200 OK", "6765\n");
    expect(GET("/sleep?ms=1"), "HTTP/1.1 200 OK", "slept 1 ms\n");
    service_stop();
}

static void service_refuses(void)
{
    if (!service_start())
        return;
    expect(GET("/nothing"), "HTTP/1.1 404 Not Found", ELSEWHERE);
    expect(GET("/fib?n=41"), "HTTP/1.1 404 Not Found", ELSEWHERE);
    expect(GET("/sleep?ms=-1"), "HTTP/1.1 404 Not Found", ELSEWHERE);
    expect("POST / HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed",
        "GET is all there is\n");
    expect("rubbish\r\n\r\n", "HTTP/1.1 400 Bad Request", "that is no HTTP request\n");
    service_stop();
}

static void service_answers_while_it_stops(void)
{
    char text[512];

    if (!service_start())
        return;
    FILE *asked = ask("GET /sleep?ms=50 HTTP/1.1\r\n\r\n");
    /* This answer shows that the connection made before it has been accepted. */
    expect(GET("/"), "HTTP/1.1 200 OK", "hello\n");
    service_stop();
    if (!CHECK(asked))
        return;
    read_text(asked, text, sizeof text);
    CHECK(strstr(text, "slept 50 ms\n") != NULL);
    fclose(asked);
}

int main(void)
{
#define EXAMPLE_ENTRY(name) {#name " prints what stands beside it", name##_example},
    static const struct harness_test tests[] = {
        EXAMPLES(EXAMPLE_ENTRY){"deadlock is reported", deadlock_is_reported},
        {"no output is left out", no_output_is_left_out},
        {"hello prints what the README says", hello_prints_what_the_readme_says},
        {"service answers", service_answers},
        {"service refuses", service_refuses},
        {"service answers while it stops", service_answers_while_it_stops},
    };

    return harness_main("examples", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */

/* grove-stat from outside, against child processes whose counters have known values and
 * which are stopped while it looks. The tool: $GROVE_STAT, or the one of the same
 * build. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/stats.h"
#include "tests/harness.h"

#define NOBODY 65534

struct output {
    int status;
    char text[32768]; /* standard output and standard error */
};

/* -- Children ---------------------------------------------------------------------- */

/* A child that did prepare() and then stopped itself; -1 when it failed. */
static pid_t child_stopped(void (*prepare)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prepare();
        raise(SIGSTOP);
        _exit(0);
    }
    if (!CHECK(child > 0) || !CHECK_EQUAL(waitpid(child, &status, WUNTRACED), child) ||
        !CHECK(WIFSTOPPED(status)))
        return -1; /* a child that did not stop has ended */
    return child;
}

/* A failed child_stopped() or tool_start() gave -1, and kill(-1) is everybody. */
static void child_end(pid_t child)
{
    if (!CHECK(child > 0))
        return;
    kill(child, SIGKILL);
    CHECK_EQUAL(waitpid(child, NULL, 0), child);
}

static void expect(bool held)
{
    if (!held)
        _exit(1); /* seen by child_stopped() */
}

static void open_segment(void)
{
    static const struct stats_setup setup = {.workers = 2,
        .stack_size = 65536,
        .version = "7.8.9",
        .bind = "core",
        .backend = "epoll"};

    expect(stats_open(&setup) == 0 && stats_shared());
}

static struct stats_header *segment_header(void)
{
    return (struct stats_header *)stats_worker(0) - 1;
}

/* -- The tool ---------------------------------------------------------------------- */

/* The tool of the same build as this program, tests/tools/NAME in the build directory.
 */
static const char *tool_path(void)
{
    static char path[4096];
    static const char tool[] = "../../grove-stat";
    ssize_t length;

    if (getenv("GROVE_STAT"))
        return getenv("GROVE_STAT");
    length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(tool));
    if (!CHECK(length > 0))
        return tool;
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, tool);
    return path;
}

/* Starts the tool with its output in *pipe_end; by descriptor, as another user may not
 * be able to walk to its path. */
static pid_t tool_start(char *const arguments[], uid_t user, int *pipe_end)
{
    int tool = open(tool_path(), O_RDONLY | O_CLOEXEC);
    int ends[2];
    pid_t child;

    if (!CHECK(tool >= 0) || !CHECK(pipe2(ends, O_CLOEXEC) == 0))
        return -1;
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        if (user && (setgroups(0, NULL) || setgid(user) || setuid(user)))
            _exit(126);
        fexecve(tool, arguments, environ);
        _exit(127);
    }
    close(tool);
    close(ends[1]);
    *pipe_end = ends[0];
    return child;
}

static struct output run_arguments(char *const arguments[], uid_t user)
{
    struct output output = {.status = -1};
    size_t length = 0;
    ssize_t got;
    int status, end;
    pid_t child = tool_start(arguments, user, &end);

    if (child < 0)
        return output;
    while (
        (got = read(end, output.text + length, sizeof(output.text) - 1 - length)) > 0)
        length += (size_t)got;
    close(end);
    if (CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status)))
        output.status = WEXITSTATUS(status);
    return output;
}

static struct output run_as(uid_t user, pid_t pid)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", (int)pid);
    return run_arguments((char *[]){"grove-stat", number, NULL}, user);
}

static struct output run_on(const char *option, pid_t pid)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", (int)pid);
    return run_arguments((char *[]){"grove-stat", (char *)option, number, NULL}, 0);
}

static void check_contains(const struct output *output, const char *part)
{
    if (!strstr(output->text, part))
        CHECK_STRING(output->text, part); /* shows both */
}

/* The line that starts with the word, its runs of blanks made one. */
static const char *table_row(const struct output *output, const char *word)
{
    static char row[256];
    const char *line = output->text;
    size_t length = 0;

    while (line && (strncmp(line, word, strlen(word)) || line[strlen(word)] != ' ')) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    for (; line && *line && *line != '\n' && length + 1 < sizeof(row); line++) {
        if (*line != ' ' || line[1] != ' ')
            row[length++] = *line;
    }
    row[length] = '\0';
    return row;
}

/* -- What it shows ----------------------------------------------------------------- */

/* Field i of worker w is (w + 1) * 1000 + i. */
static void prepare_known_values(void)
{
    open_segment();
    for (int w = 0; w < 2; w++) {
        uint64_t *fields = (uint64_t *)stats_worker(w);
        for (uint64_t i = 0; i < STATS_FIELD_COUNT; i++)
            fields[i] = ((uint64_t)w + 1) * 1000 + i;
    }
}

static void table_shows_every_column(void)
{
    pid_t child = child_stopped(prepare_known_values);
    struct output output = run_on("--", child);

    CHECK_EQUAL(output.status, 0);
    check_contains(&output, ", stopped): libgrove 7.8.9, ");
    check_contains(&output, "2 workers, bind core, backend epoll, stacks of 64 KiB\n");
    check_contains(&output, "totals since its start\n");
    CHECK_STRING(table_row(&output, "WORKER"),
        "WORKER PU STATE BUSY% SWITCH SPAWN RUNQ DEQUE WAKE STOLEN TRIED PARK POLL "
        "TIMER IOWAIT STACK CACHED FAIL");
    CHECK_STRING(table_row(&output, "0"),
        "0 - - 50.0 1000 1001 1003 1004 1006 1008 1009 1010 1011 1012 1013 1014 1015 "
        "1016");
    CHECK_STRING(table_row(&output, "total"),
        "total - - 50.0 3000 3002 3006 3008 3012 3016 3018 3020 3022 3024 3026 3028 "
        "3030 3032");
    child_end(child);
}

static void table_fits_120_columns(void)
{
    pid_t child = child_stopped(prepare_known_values);
    struct output output = run_on("--", child);
    const char *titles = strstr(output.text, "WORKER");

    CHECK(titles && strcspn(titles, "\n") <= 120);
    child_end(child);
}

static void json_shows_every_field(void)
{
    static const char *const names[] = {
#define NAME(field, kind, unit, title, meaning) #field,
        STATS_FIELDS(NAME)
#undef NAME
    };
    pid_t child = child_stopped(prepare_known_values);
    struct output output = run_on("--json", child);
    char part[64];

    for (int i = 0; i < STATS_FIELD_COUNT; i++) {
        snprintf(part, sizeof(part), "\"%s\":%d", names[i], 2000 + i);
        check_contains(&output, part);
        snprintf(part, sizeof(part), "\"%s\":%d", names[i], 3000 + 2 * i);
        check_contains(&output, part);
    }
    child_end(child);
}

static void json_is_one_line(void)
{
    pid_t child = child_stopped(prepare_known_values);
    struct output output = run_on("--json", child);

    CHECK_EQUAL(strcspn(output.text, "\n"), strlen(output.text) - 1);
    child_end(child);
}

static void prepare_large_value(void)
{
    open_segment();
    stats_set(stats_worker(0), switches, 123456789);
    stats_set(stats_worker(1), switches, UINT64_MAX);
}

static void large_values_are_shortened(void)
{
    pid_t child = child_stopped(prepare_large_value);
    struct output output = run_on("--", child);

    CHECK(strncmp(table_row(&output, "0"), "0 - - 0.0 123M ", 15) == 0);
    CHECK(strncmp(table_row(&output, "1"), "1 - - 0.0 18.4E ", 16) == 0);
    child_end(child);
}

/* Neither has fallen asleep or woken up yet, so both spans are still to be added. */
static void prepare_running_and_parked(void)
{
    open_segment();
    stats_worker_start(stats_worker(0), 3);
    stats_worker_start(stats_worker(1), 5);
    stats_set(stats_worker(1), state, STATS_PARKED);
}

static void running_span_is_added(void)
{
    pid_t child = child_stopped(prepare_running_and_parked);
    struct output output = run_on("--", child);

    CHECK(strncmp(table_row(&output, "0"), "0 3 running 100.0 ", 18) == 0);
    CHECK(strncmp(table_row(&output, "1"), "1 5 parked 0.0 ", 15) == 0);
    child_end(child);
}

/* All by one thread: what counts is the order, and ThreadSanitizer allows no new
 * threads in a fork child. */
static void prepare_guests(void)
{
    struct stats_worker *guest;

    open_segment();
    guest = stats_guest_attach();
    stats_add(guest, switches, 40);
    stats_guest_detach(guest);
    for (int i = 0; i < STATS_GUESTS + 2; i++)
        stats_add(stats_guest_attach(), switches, 1);
}

static void guests_have_rows(void)
{
    pid_t child = child_stopped(prepare_guests);
    struct output output = run_on("--", child);

    CHECK(strncmp(table_row(&output, "g15"), "g15 - running 100.0 1 ", 22) == 0);
    CHECK(strncmp(table_row(&output, "ended"), "ended - - 100.0 40 ", 19) == 0);
    CHECK(strncmp(table_row(&output, "total"), "total - - 100.0 56 ", 19) == 0);
    check_contains(&output, "\n2 more guest threads are not counted\n");
    child_end(child);
}

/* Reads samples until one shows a rate, and what happened in its interval. */
static double first_change(FILE *samples)
{
    char line[8192];
    double interval, rate;

    while (fgets(line, sizeof(line), samples)) {
        char *total = strstr(line, "\"total\":");
        char *seconds = strstr(line, "\"interval_seconds\":");
        char *rates = total ? strstr(total, "\"per_second\":{") : NULL;

        if (seconds && rates &&
            sscanf(seconds, "\"interval_seconds\":%lf", &interval) &&
            sscanf(rates, "\"per_second\":{\"switches\":%lf", &rate) && rate > 0)
            return rate * interval;
    }
    return 0;
}

static int go_ahead[2];

static void prepare_waiting_writer(void)
{
    char byte;

    open_segment();
    stats_set(stats_worker(0), switches, 5000);
    raise(SIGSTOP);
    expect(read(go_ahead[0], &byte, 1) == 1);
    stats_add(stats_worker(0), switches, 1000);
}

static void rates_are_of_the_interval(void)
{
    char number[16], first[8192];
    pid_t child, tool;
    FILE *samples;
    double change;
    int end = -1;

    CHECK_EQUAL(pipe2(go_ahead, O_CLOEXEC), 0);
    child = child_stopped(prepare_waiting_writer);
    snprintf(number, sizeof(number), "%d", (int)child);
    tool =
        tool_start((char *[]){"grove-stat", "--json", number, "0.05", NULL}, 0, &end);
    samples = fdopen(end, "r");
    if (!CHECK(child > 0 && samples))
        return;
    CHECK(fgets(first, sizeof(first), samples) && !strstr(first, "per_second"));
    kill(child, SIGCONT);
    CHECK_EQUAL(write(go_ahead[1], "", 1), 1);
    change = first_change(samples);
    CHECK(change > 999 && change < 1001); /* what rounding to three decimals leaves */
    fclose(samples);
    child_end(tool);
    child_end(child);
    close(go_ahead[0]);
    close(go_ahead[1]);
}

static void count_ends_the_samples(void)
{
    pid_t child = child_stopped(prepare_known_values);
    char number[16];
    struct output output;

    snprintf(number, sizeof(number), "%d", (int)child);
    output = run_arguments((char *[]){"grove-stat", number, "0.01", "2", NULL}, 0);
    CHECK_EQUAL(output.status, 0);
    check_contains(&output, "totals since its start\n");
    check_contains(&output, "per second, over the last ");
    child_end(child);
}

static void list_names_the_process(void)
{
    pid_t child = child_stopped(prepare_known_values);
    struct output output = run_arguments((char *[]){"grove-stat", "--list", NULL}, 0);
    char part[32];

    CHECK_EQUAL(output.status, 0);
    snprintf(part, sizeof(part), "%7d       2 ", (int)child);
    check_contains(&output, part);
    child_end(child);
}

/* -- Ways to the segment ----------------------------------------------------------- */

static void prepare_descriptors_closed(void)
{
    prepare_known_values();
    expect(close_range(3, ~0U, 0) == 0);
}

static void closed_descriptor_is_no_obstacle(void)
{
    pid_t child = child_stopped(prepare_descriptors_closed);
    struct output output = run_on("--json", child);

    CHECK_EQUAL(output.status, 0);
    check_contains(&output, "\"switches\":2000");
    child_end(child);
}

static int forked_pid[2];

static void prepare_forked(void)
{
    pid_t child;

    open_segment();
    stats_worker_start(stats_worker(0), 3);
    stats_add(stats_worker(0), switches, 5);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stats_add(stats_worker(0), switches, 7);
        child = getpid();
        expect(write(forked_pid[1], &child, sizeof(child)) == sizeof(child));
        raise(SIGSTOP);
        _exit(0);
    }
    expect(child > 0 && waitpid(child, NULL, WUNTRACED) == child);
}

static void forked_child_has_its_own_segment(void)
{
    struct output output;
    pid_t parent, child = 0;

    CHECK_EQUAL(pipe2(forked_pid, O_CLOEXEC), 0);
    parent = child_stopped(prepare_forked);
    CHECK_EQUAL(read(forked_pid[0], &child, sizeof(child)), sizeof(child));
    output = run_on("--", parent);
    CHECK(strncmp(table_row(&output, "0"), "0 3 running 100.0 5 ", 20) == 0);
    output = run_on("--", child);
    CHECK(strncmp(table_row(&output, "0"), "0 3 running 100.0 7 ", 20) == 0);
    child_end(parent);
    close(forked_pid[0]);
    close(forked_pid[1]);
}

/* -- Errors ------------------------------------------------------------------------ */

static void check_refusal(pid_t pid, const char *reason)
{
    struct output output = run_on("--", pid);

    CHECK_EQUAL(output.status, 1);
    check_contains(&output, "grove-stat: ");
    check_contains(&output, reason);
    CHECK_EQUAL(strcspn(output.text, "\n"), strlen(output.text) - 1);
}

static void prepare_nothing(void) {}

static void missing_process_is_named(void)
{
    pid_t child = child_stopped(prepare_nothing);
    char reason[64];

    child_end(child);
    snprintf(reason, sizeof(reason), "no process %d\n", (int)child);
    check_refusal(child, reason);
}

static void process_without_segment_is_named(void)
{
    pid_t child = child_stopped(prepare_nothing);

    check_refusal(child, ") has no stats segment: it does not use libgrove");
    child_end(child);
}

static void prepare_no_descriptor_left(void)
{
    static const struct stats_setup setup = {.workers = 1};
    static const struct rlimit none;

    expect(setrlimit(RLIMIT_NOFILE, &none) == 0);
    expect(stats_open(&setup) == 0 && !stats_shared());
    stats_add(stats_worker(0), switches, 1);
}

static void private_counters_are_no_segment(void)
{
    pid_t child = child_stopped(prepare_no_descriptor_left);

    check_refusal(child, ") has no stats segment: ");
    child_end(child);
}

static void prepare_other_layout(void)
{
    open_segment();
    segment_header()->layout_version = 99;
}

static void other_layout_is_refused(void)
{
    pid_t child = child_stopped(prepare_other_layout);

    check_refusal(child, "has stats layout 99, this grove-stat reads layout 1: ");
    child_end(child);
}

static void prepare_damaged(void)
{
    open_segment();
    segment_header()->workers = UINT64_MAX;
}

static void damaged_header_is_refused(void)
{
    pid_t child = child_stopped(prepare_damaged);

    check_refusal(child, ": its stats segment is damaged\n");
    child_end(child);
}

static void prepare_undumpable(void)
{
    open_segment();
    expect(prctl(PR_SET_DUMPABLE, 0) == 0);
}

/* Root can become somebody else to look; others make a process that only root may see.
 */
static void other_users_are_refused(void)
{
    bool root = geteuid() == 0;
    pid_t child = child_stopped(root ? prepare_known_values : prepare_undumpable);
    struct output output = run_as(root ? NOBODY : 0, child);

    CHECK_EQUAL(output.status, 1);
    check_contains(
        &output, ": permission denied: only its own user or root may read it");
    child_end(child);
}

static void check_misuse(char *const arguments[], const char *reason)
{
    struct output output = run_arguments(arguments, 0);

    CHECK_EQUAL(output.status, 2);
    check_contains(&output, reason);
    check_contains(&output, "usage: grove-stat ");
}

static void misuse_is_named(void)
{
    check_misuse((char *[]){"grove-stat", "12x", NULL},
        "grove-stat: PID must be a whole number above 0, not '12x'\n");
    check_misuse((char *[]){"grove-stat", "0", NULL}, "not '0'\n");
    check_misuse((char *[]){"grove-stat", "1", "0", NULL},
        "INTERVAL must be seconds from 0.01 to 86400, not '0'\n");
    check_misuse((char *[]){"grove-stat", "1", "nan", NULL}, "not 'nan'\n");
    check_misuse((char *[]){"grove-stat", "1", "1", "-", NULL},
        "COUNT must be a whole number above 0, not '-'\n");
    check_misuse((char *[]){"grove-stat", "1", "1", "1", "x", NULL}, "not 'x'\n");
    check_misuse((char *[]){"grove-stat", "--list", "1", NULL}, "--list takes no PID");
    check_misuse((char *[]){"grove-stat", "--nothing", NULL}, "'--nothing'");
}

static void full_disk_is_an_error(void)
{
    struct output output = {.status = -1};
    char command[512];
    FILE *tool;

    snprintf(command, sizeof(command), "'%s' --help 2>&1 >/dev/full", tool_path());
    tool = popen(command, "r");
    output.text[fread(output.text, 1, sizeof(output.text) - 1, tool)] = '\0';
    CHECK_EQUAL(WEXITSTATUS(pclose(tool)), 1);
    CHECK_STRING(output.text, "grove-stat: cannot write: No space left on device\n");
}

/* -- Documents --------------------------------------------------------------------- */

static void manual_names_every_field(void)
{
    static const char *const words[][2] = {
#define WORDS(field, kind, unit, title, meaning) {#field, meaning},
        STATS_FIELDS(WORDS)
#undef WORDS
    };
    static char manual[32768];
    FILE *file = fopen("docs/man/grove-stat.1", "re");

    if (!CHECK(file != NULL))
        return;
    manual[fread(manual, 1, sizeof(manual) - 1, file)] = '\0';
    fclose(file);
    for (int i = 0; i < STATS_FIELD_COUNT; i++) {
        for (int j = 0; j < 2; j++) {
            if (!strstr(manual, words[i][j]))
                CHECK_STRING("not in docs/man/grove-stat.1", words[i][j]);
        }
    }
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"table shows every column", table_shows_every_column},
        {"table fits 120 columns", table_fits_120_columns},
        {"json shows every field", json_shows_every_field},
        {"json is one line", json_is_one_line},
        {"large values are shortened", large_values_are_shortened},
        {"running span is added", running_span_is_added},
        {"guests have rows", guests_have_rows},
        {"rates are of the interval", rates_are_of_the_interval},
        {"count ends the samples", count_ends_the_samples},
        {"list names the process", list_names_the_process},
        {"closed descriptor is no obstacle", closed_descriptor_is_no_obstacle},
        {"forked child has its own segment", forked_child_has_its_own_segment},
        {"missing process is named", missing_process_is_named},
        {"process without segment is named", process_without_segment_is_named},
        {"private counters are no segment", private_counters_are_no_segment},
        {"other layout is refused", other_layout_is_refused},
        {"damaged header is refused", damaged_header_is_refused},
        {"other users are refused", other_users_are_refused},
        {"misuse is named", misuse_is_named},
        {"full disk is an error", full_disk_is_an_error},
        {"manual names every field", manual_names_every_field},
    };
    return harness_main("grove-stat", tests, sizeof tests / sizeof *tests);
}

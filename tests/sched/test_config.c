/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/harness.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <grove/config.h>

#include "sched/config.h"
#include "sched/config_value.h"

extern char **environ;

static char output[4096];

/* No setting comes from outside the test; the harness's own variables stay. */
static void clear_environment(void)
{
    for (size_t i = 0; i < config_variable_count; i++)
        unsetenv(config_variables[i].name);
}

/* config_load with what it writes to stderr in `output`. */
static int load(struct config *out, const grove_config_t *given)
{
    int file = memfd_create("stderr", 0), saved = dup(2);
    dup2(file, 2);
    int result = config_load(out, given);
    int error = errno;
    dup2(saved, 2);
    ssize_t length = pread(file, output, sizeof(output) - 1, 0);
    output[length > 0 ? length : 0] = '\0';
    close(saved);
    close(file);
    errno = error;
    return result;
}

static void expect_refused(const char *variable, const char *value, const char *line)
{
    struct config config, before;
    memset(&config, 0x5a, sizeof(config));
    before = config;
    clear_environment();
    setenv(variable, value, 1);
    errno = 0;
    CHECK_EQUAL(load(&config, NULL), -1);
    CHECK_EQUAL(errno, EINVAL);
    CHECK(memcmp(&config, &before, sizeof(config)) == 0);
    if (line != NULL)
        CHECK_STRING(output, line);
    else
        CHECK(strchr(output, '\n') == output + strlen(output) - 1);
    clear_environment();
}

static struct config expect_accepted(const char *variable, const char *value)
{
    struct config config = {0};
    clear_environment();
    setenv(variable, value, 1);
    CHECK_EQUAL(load(&config, NULL), 0);
    CHECK_STRING(output, "");
    clear_environment();
    return config;
}

static void defaults(void)
{
    struct config config;
    clear_environment();
    CHECK_EQUAL(load(&config, NULL), 0);
    CHECK_STRING(output, "");
    CHECK_EQUAL(config.workers, 0);
    CHECK_EQUAL(config.bind, GROVE_BIND_AUTO);
    CHECK_EQUAL(config.stack_size, 256 * 1024);
    CHECK_EQUAL(config.stack_cache, 64 * 1024 * 1024);
    CHECK_EQUAL(config.backend, GROVE_BACKEND_EPOLL);
    CHECK(config.switch_interval == 0.001);
    CHECK(config.max_blocking_time == 0);
    CHECK(config.deadlock_check == 1);
    CHECK_EQUAL(config.threads, 10);
    CHECK(config.threads_idle == 5);
    CHECK_EQUAL(config.report, GROVE_REPORT_ON);
}

static void zeroed_struct_is_the_environment(void)
{
    struct config config;
    clear_environment();
    setenv("GROVE_WORKERS", "7", 1);
    CHECK_EQUAL(load(&config, &(grove_config_t){0}), 0);
    CHECK_EQUAL(config.workers, 7);
    CHECK_EQUAL(config.stack_size, 256 * 1024);
    clear_environment();
}

static void every_row_of_the_table_is_sound(void)
{
    for (size_t i = 0; i < config_variable_count; i++) {
        const struct config_variable *v = &config_variables[i];
        struct config_value value;
        char text[CONFIG_ALLOWED_ROOM];
        if (*v->initial != '\0') {
            CHECK(config_value_read(v, v->initial, &value));
            CHECK(config_value_in_range(v, &value));
        }
        if (v->kind != WORD) {
            CHECK(config_value_read(v, v->least, &value));
            CHECK(config_value_in_range(v, &value));
            CHECK(config_value_read(v, v->most, &value));
            CHECK(config_value_in_range(v, &value));
        }
        CHECK(strlen(config_value_allowed(v, text)) < CONFIG_ALLOWED_ROOM - 2);
        CHECK(strlen(v->name) < 31); /* or a slip in it is not recognised */
    }
}

static void workers_range(void)
{
    static const char *const bad[] = {"0", "257", "-1", "+4", "4x", " 4", "4 ", "1e2",
        "0x4", "4.0", "four", "99999999999999999999", "18446744073709551617"};
    CHECK_EQUAL(expect_accepted("GROVE_WORKERS", "1").workers, 1);
    CHECK_EQUAL(expect_accepted("GROVE_WORKERS", "256").workers, 256);
    CHECK_EQUAL(expect_accepted("GROVE_WORKERS", "007").workers, 7);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused("GROVE_WORKERS", bad[i], NULL);
}

static void error_line_names_variable_value_and_range(void)
{
    expect_refused("GROVE_WORKERS", "0",
        "grove: GROVE_WORKERS=0: must be a whole number from 1 to 256\n");
    expect_refused("GROVE_BIND", "socket",
        "grove: GROVE_BIND=socket: must be one of auto, core, pu, none\n");
    expect_refused("GROVE_STACK_SIZE", "4kb",
        "grove: GROVE_STACK_SIZE=4kb: must be bytes, or a number with K, M, G or T, "
        "from 16K to 1G\n");
    expect_refused("GROVE_SWITCH_INTERVAL", "1e-3",
        "grove: GROVE_SWITCH_INTERVAL=1e-3: must be seconds as a decimal number "
        "from 0.00001 to 1\n");
}

static void error_line_stays_one_printable_line(void)
{
    expect_refused("GROVE_BIND", "a\nb\033[2J",
        "grove: GROVE_BIND=a?b?[2J: must be one of auto, core, pu, none\n");
    char value[1000];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    expect_refused("GROVE_BIND", value, NULL);
    CHECK(strlen(output) < 200);
    CHECK(strstr(output, "xxx...: must be") != NULL);
}

static void empty_variable_counts_as_unset(void)
{
    struct config config;
    clear_environment();
    for (size_t i = 0; i < config_variable_count; i++)
        setenv(config_variables[i].name, "", 1);
    CHECK_EQUAL(load(&config, NULL), 0);
    CHECK_STRING(output, "");
    CHECK_EQUAL(config.workers, 0);
    CHECK_EQUAL(config.stack_size, 256 * 1024);
    clear_environment();
}

static void sizes_take_suffixes(void)
{
    CHECK_EQUAL(expect_accepted("GROVE_STACK_SIZE", "16384").stack_size, 16384);
    CHECK_EQUAL(expect_accepted("GROVE_STACK_SIZE", "64K").stack_size, 65536);
    CHECK_EQUAL(expect_accepted("GROVE_STACK_SIZE", "64k").stack_size, 65536);
    CHECK_EQUAL(expect_accepted("GROVE_STACK_SIZE", "8M").stack_size, 8 << 20);
    CHECK_EQUAL(expect_accepted("GROVE_STACK_SIZE", "1G").stack_size, 1 << 30);
    CHECK_EQUAL(expect_accepted("GROVE_STACK_CACHE", "0").stack_cache, 0);
    CHECK_EQUAL(
        expect_accepted("GROVE_STACK_CACHE", "1T").stack_cache, UINT64_C(1) << 40);
}

static void bad_sizes(void)
{
    static const char *const bad[] = {"K", "64KK", "64 K", "64Ki", "64B", "1.5M",
        "-64K", "15K", "16383", "2G", "17179869184G", "18446744073709551616", "64K\n",
        "64*"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused("GROVE_STACK_SIZE", bad[i], NULL);
}

static void stack_size_is_whole_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = expect_accepted("GROVE_STACK_SIZE", "100001").stack_size;
    CHECK(size >= 100001);
    CHECK(size < 100001 + page);
    CHECK_EQUAL(size % page, 0);
}

static void seconds(void)
{
    static const char *const bad[] = {".5", "0.", "0,5", "1e-3", "-0.5", "nan", "inf",
        "0x1", "0.0000000001", "0.000009", "1.000000001", "0.5s", " 0.5", "0.5.0"};
    CHECK(expect_accepted("GROVE_SWITCH_INTERVAL", "0.5").switch_interval == 0.5);
    CHECK(expect_accepted("GROVE_SWITCH_INTERVAL", "1").switch_interval == 1);
    CHECK(expect_accepted("GROVE_SWITCH_INTERVAL", "0.000010").switch_interval == 1e-5);
    CHECK(expect_accepted("GROVE_MAX_BLOCKING_TIME", "2.25").max_blocking_time == 2.25);
    CHECK(expect_accepted("GROVE_MAX_BLOCKING_TIME", "0").max_blocking_time == 0);
    CHECK(expect_accepted("GROVE_DEADLOCK_CHECK", "0").deadlock_check == 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused("GROVE_SWITCH_INTERVAL", bad[i], NULL);
}

/* Skips nothing: without a locale that has a decimal comma it still reads the point. */
static void seconds_in_a_locale_with_decimal_comma(void)
{
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        setlocale(LC_NUMERIC, "fr_FR.UTF-8");
    CHECK(expect_accepted("GROVE_SWITCH_INTERVAL", "0.25").switch_interval == 0.25);
    expect_refused("GROVE_SWITCH_INTERVAL", "0,25", NULL);
    setlocale(LC_NUMERIC, "C");
}

static void words_are_the_public_enumerators(void)
{
    CHECK_EQUAL(expect_accepted("GROVE_BIND", "auto").bind, GROVE_BIND_AUTO);
    CHECK_EQUAL(expect_accepted("GROVE_BIND", "core").bind, GROVE_BIND_CORE);
    CHECK_EQUAL(expect_accepted("GROVE_BIND", "pu").bind, GROVE_BIND_PU);
    CHECK_EQUAL(expect_accepted("GROVE_BIND", "none").bind, GROVE_BIND_NONE);
    CHECK_EQUAL(expect_accepted("GROVE_BACKEND", "epoll").backend, GROVE_BACKEND_EPOLL);
    CHECK_EQUAL(expect_accepted("GROVE_BACKEND", "poll").backend, GROVE_BACKEND_POLL);
    CHECK_EQUAL(
        expect_accepted("GROVE_BACKEND", "select").backend, GROVE_BACKEND_SELECT);
    CHECK_EQUAL(
        expect_accepted("GROVE_BACKEND", "iouring").backend, GROVE_BACKEND_IOURING);
    CHECK_EQUAL(expect_accepted("GROVE_REPORT", "on").report, GROVE_REPORT_ON);
    CHECK_EQUAL(expect_accepted("GROVE_REPORT", "off").report, GROVE_REPORT_OFF);
}

static void bad_words(void)
{
    static const char *const bad[] = {
        "Core", "cor", "cores", "core|pu", "|", "1", " core"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused("GROVE_BIND", bad[i], NULL);
}

static void given_fields_override_the_environment(void)
{
    struct config config;
    clear_environment();
    setenv("GROVE_WORKERS", "7", 1);
    setenv("GROVE_BIND", "pu", 1);
    setenv("GROVE_STACK_CACHE", "1M", 1);
    setenv("GROVE_MAX_BLOCKING_TIME", "3", 1);
    grove_config_t given = {.workers = 2,
        .stack_size = 65536,
        .switch_interval = 0.5,
        .backend = GROVE_BACKEND_POLL,
        .report = GROVE_REPORT_OFF};
    CHECK_EQUAL(load(&config, &given), 0);
    CHECK_EQUAL(config.workers, 2);
    CHECK_EQUAL(config.bind, GROVE_BIND_PU);
    CHECK_EQUAL(config.stack_size, 65536);
    CHECK_EQUAL(config.stack_cache, 1 << 20);
    CHECK_EQUAL(config.backend, GROVE_BACKEND_POLL);
    CHECK(config.switch_interval == 0.5);
    CHECK(config.max_blocking_time == 3);
    CHECK_EQUAL(config.report, GROVE_REPORT_OFF);
    clear_environment();
}

static void given_fields_can_say_zero(void)
{
    struct config config;
    clear_environment();
    setenv("GROVE_STACK_CACHE", "1M", 1);
    setenv("GROVE_MAX_BLOCKING_TIME", "3", 1);
    grove_config_t given = {.stack_cache = GROVE_STACK_CACHE_NONE,
        .max_blocking_time = GROVE_MAX_BLOCKING_TIME_OFF,
        .deadlock_check = GROVE_DEADLOCK_CHECK_OFF};
    CHECK_EQUAL(load(&config, &given), 0);
    CHECK_EQUAL(config.stack_cache, 0);
    CHECK(config.max_blocking_time == 0);
    CHECK(config.deadlock_check == 0);
    clear_environment();
}

static void expect_given_refused(const grove_config_t *given, const char *start)
{
    struct config config = {.workers = 99};
    clear_environment();
    errno = 0;
    CHECK_EQUAL(load(&config, given), -1);
    CHECK_EQUAL(errno, EINVAL);
    CHECK_EQUAL(config.workers, 99);
    if (!CHECK(strncmp(output, start, strlen(start)) == 0))
        printf("%s", output);
}

static void bad_given_fields(void)
{
    expect_given_refused(&(grove_config_t){.workers = 257},
        "grove: grove_config_t.workers=257: must be a whole number from 1 to 256\n");
    expect_given_refused(
        &(grove_config_t){.workers = -1}, "grove: grove_config_t.workers=-1: ");
    expect_given_refused(
        &(grove_config_t){.bind = (grove_bind_t)9}, "grove: grove_config_t.bind=9: ");
    expect_given_refused(
        &(grove_config_t){.stack_size = 1}, "grove: grove_config_t.stack_size=1: ");
    expect_given_refused(&(grove_config_t){.stack_size = SIZE_MAX},
        "grove: grove_config_t.stack_size=18446744073709551615: ");
    expect_given_refused(&(grove_config_t){.switch_interval = -1},
        "grove: grove_config_t.switch_interval=-1: ");
    expect_given_refused(&(grove_config_t){.switch_interval = __builtin_nan("")},
        "grove: grove_config_t.switch_interval=nan: ");
    expect_given_refused(&(grove_config_t){.max_blocking_time = 1e9},
        "grove: grove_config_t.max_blocking_time=1e+09: ");
    expect_given_refused(&(grove_config_t){.reserved = {[5] = 1}},
        "grove: grove_config_t.reserved[5]=1: must be 0");
}

static void given_does_not_hide_a_bad_variable(void)
{
    struct config config;
    clear_environment();
    setenv("GROVE_WORKERS", "many", 1);
    CHECK_EQUAL(load(&config, &(grove_config_t){.workers = 2}), -1);
    clear_environment();
}

static void unknown_variable_warns_and_starts(void)
{
    struct config config;
    clear_environment();
    setenv("GROVE_WORKER", "4", 1);
    CHECK_EQUAL(load(&config, NULL), 0);
    CHECK_STRING(output,
        "grove: GROVE_WORKER: no such variable, ignored (is GROVE_WORKERS meant?)\n");
    CHECK_EQUAL(config.workers, 0);
    unsetenv("GROVE_WORKER");
    setenv("GROVE_COLOUR", "blue", 1);
    CHECK_EQUAL(load(&config, NULL), 0);
    CHECK_STRING(output, "grove: GROVE_COLOUR: no such variable, ignored\n");
    unsetenv("GROVE_COLOUR");
}

static void reserved_prefixes_do_not_warn(void)
{
    struct config config;
    clear_environment();
    setenv("GROVE_TEST_ANYTHING", "1", 1);
    setenv("GROVE_BENCH_ANYTHING", "1", 1);
    setenv("GROVES", "1", 1);
    CHECK_EQUAL(load(&config, NULL), 0);
    CHECK_STRING(output, "");
    unsetenv("GROVE_TEST_ANYTHING");
    unsetenv("GROVE_BENCH_ANYTHING");
    unsetenv("GROVES");
}

static void no_environment_at_all(void)
{
    struct config config;
    char **saved = environ;
    environ = NULL;
    CHECK_EQUAL(load(&config, NULL), 0);
    environ = saved;
    CHECK_EQUAL(config.stack_size, 256 * 1024);
}

/* What `print` writes. Freed by the caller. */
static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    print(stream);
    fclose(stream);
    return text;
}

static void help_names_every_variable(void)
{
    char *help = printed(config_print_help);
    for (size_t i = 0; i < config_variable_count; i++)
        CHECK(strstr(help, config_variables[i].name) != NULL);
    for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n"))
        CHECK(strlen(line) <= 80);
    free(help);
}

/* Runs at the top of the source tree, as all tests do. */
static void tuning_page_holds_the_table(void)
{
    static char page[65536];
    FILE *file = fopen("docs/tuning.md", "r");
    if (!CHECK(file != NULL))
        return;
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    char *table = printed(config_print_markdown);
    if (!CHECK(strstr(page, table) != NULL))
        printf("docs/tuning.md: put the output of `grove-env --markdown` there\n");
    free(table);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"defaults", defaults},
        {"a zeroed struct is the environment", zeroed_struct_is_the_environment},
        {"every row of the table is sound", every_row_of_the_table_is_sound},
        {"range of workers", workers_range},
        {"an error names variable, value and range",
            error_line_names_variable_value_and_range},
        {"an error stays one printable line", error_line_stays_one_printable_line},
        {"an empty variable counts as unset", empty_variable_counts_as_unset},
        {"sizes take suffixes", sizes_take_suffixes},
        {"bad sizes are refused", bad_sizes},
        {"the stack size is whole pages", stack_size_is_whole_pages},
        {"seconds", seconds},
        {"seconds in a locale with a decimal comma",
            seconds_in_a_locale_with_decimal_comma},
        {"words are the public enumerators", words_are_the_public_enumerators},
        {"bad words are refused", bad_words},
        {"given fields override the environment",
            given_fields_override_the_environment},
        {"given fields can say zero", given_fields_can_say_zero},
        {"bad given fields are refused", bad_given_fields},
        {"given fields do not hide a bad variable", given_does_not_hide_a_bad_variable},
        {"an unknown variable warns and starts", unknown_variable_warns_and_starts},
        {"reserved prefixes do not warn", reserved_prefixes_do_not_warn},
        {"no environment at all", no_environment_at_all},
        {"the help names every variable", help_names_every_variable},
        {"the tuning page holds the table", tuning_page_holds_the_table},
    };
    return harness_main("config", tests, sizeof(tests) / sizeof(tests[0]));
}

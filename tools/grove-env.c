/* SPDX-License-Identifier: MIT */

/* grove-env: lists the environment variables of libgrove, or checks the ones set. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "sched/config.h"

static const char usage[] =
    "usage: grove-env [--markdown | --check]\n"
    "  (nothing)   list the environment variables that tune libgrove\n"
    "  --markdown  the same as the table of docs/tuning.md\n"
    "  --check     say what is wrong with the variables set now; exit 1 if a program\n"
    "              would refuse to start\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"markdown", no_argument, NULL, 'm'},
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int mode = getopt_long(argc, argv, "", options, NULL);
    if (mode == '?' || argc > (mode == -1 ? 1 : 2)) {
        fputs(usage, stderr);
        return 2;
    }
    struct config config;
    switch (mode) {
    case 'c':
        return config_load(&config, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case 'm':
        config_print_markdown(stdout);
        break;
    case 'h':
        fputs(usage, stdout);
        break;
    default:
        config_print_help(stdout);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

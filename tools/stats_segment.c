/* SPDX-License-Identifier: MIT */

/*
 * The segment is looked up anew for each copy: an open descriptor would keep the memory
 * of an ended process and show it for ever. It is copied with pread, not mapped:
 * nothing the other process does to its file can then hurt this one, and the same call
 * reads /proc/PID/mem.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/stats_segment.h"

#define LINK_TEXT "/memfd:" STATS_SEGMENT_NAME " (deleted)"

/* Where a segment can be read; descriptor -1: nowhere. */
struct source {
    int descriptor;
    off_t offset;
};

/* Outcome of looking at one candidate, or behind one door. */
enum found { FOUND, FOUND_NOTHING, FOUND_TROUBLE };

__attribute__((format(printf, 2, 3))) static enum found trouble(
    struct snapshot_error *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return FOUND_TROUBLE;
}

static enum found no_permission(struct snapshot_error *error, pid_t pid)
{
    return trouble(error,
        "process %d: permission denied: only its own user or root may read it",
        (int)pid);
}

static FILE *proc_open(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* -- What /proc says of the process ------------------------------------------------ */

/* The process's id in its own namespace, which is what it wrote into the header. */
static uint64_t own_pid(pid_t pid)
{
    FILE *file = proc_open(pid, "status");
    uint64_t own = (uint64_t)pid;
    char line[256];

    while (file && fgets(line, sizeof(line), file)) {
        if (!strncmp(line, "NSpid:", 6)) { /* outermost first */
            char *last = strrchr(line, '\t');
            own = last ? strtoull(last, NULL, 10) : own;
            break;
        }
    }
    if (file)
        fclose(file);
    return own;
}

static void command_read(struct snapshot *snapshot)
{
    FILE *file = proc_open(snapshot->pid, "stat");
    char text[256];
    char *open, *close;

    strcpy(snapshot->command, "?");
    snapshot->process_state = '?';
    if (!file)
        return;
    /* "PID (name) S ...", and the name may hold anything: parentheses, newlines. */
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    if ((open = strchr(text, '(')) && (close = strrchr(text, ')')) && close[1]) {
        *close = '\0';
        snprintf(snapshot->command, sizeof(snapshot->command), "%s", open + 1);
        snapshot->process_state = close[2];
    }
    fclose(file);
}

/* -- The header -------------------------------------------------------------------- */

static bool read_at(const struct source *source, off_t offset, void *to, size_t size)
{
    return pread(source->descriptor, to, size, source->offset + offset) ==
           (ssize_t)size;
}

static bool header_is_sane(const struct stats_header *header)
{
    return header->header_size == sizeof(struct stats_header) &&
           header->worker_size == sizeof(struct stats_worker) && header->workers >= 1 &&
           header->workers <= STATS_WORKERS_MAX && header->guest_slots == STATS_GUESTS;
}

/* Reads the header and judges whether it is this process's own and readable. A child
 * made by vfork or clone holds its parent's segment: the pid tells. */
static enum found header_read(const struct source *source, pid_t pid,
    struct stats_header *header, struct snapshot_error *error)
{
    uint64_t words[2]; /* magic, layout_version: at this place in every layout */

    if (!read_at(source, 0, words, sizeof(words)) || words[0] != STATS_MAGIC)
        return FOUND_NOTHING;
    /* Partner of the release in header_publish(), sched/stats.c. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (words[1] != STATS_LAYOUT_VERSION)
        return trouble(error,
            "process %d has stats layout %" PRIu64 ", this grove-stat reads layout %d: "
            "use the grove-stat of its libgrove",
            (int)pid, words[1], STATS_LAYOUT_VERSION);
    if (!read_at(source, 0, header, sizeof(*header)) || !header_is_sane(header))
        return trouble(error, "process %d: its stats segment is damaged", (int)pid);
    header->library_version[sizeof(header->library_version) - 1] = '\0';
    header->bind[sizeof(header->bind) - 1] = '\0';
    header->backend[sizeof(header->backend) - 1] = '\0';
    return header->pid == own_pid(pid) ? FOUND : FOUND_NOTHING;
}

/* -- First door: the descriptor ---------------------------------------------------- */

static bool is_segment_link(int directory, const char *name)
{
    char target[sizeof(LINK_TEXT)];
    ssize_t length = readlinkat(directory, name, target, sizeof(target));

    return length == (ssize_t)strlen(LINK_TEXT) &&
           !memcmp(target, LINK_TEXT, strlen(LINK_TEXT));
}

static enum found descriptor_try(int directory, const char *name, pid_t pid,
    struct source *source, struct stats_header *header, struct snapshot_error *error)
{
    enum found found;

    if (!is_segment_link(directory, name))
        return FOUND_NOTHING;
    source->offset = 0;
    source->descriptor = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source->descriptor < 0)
        return errno == EACCES || errno == EPERM ? no_permission(error, pid)
                                                 : FOUND_NOTHING;
    found = header_read(source, pid, header, error);
    if (found != FOUND)
        close(source->descriptor);
    return found;
}

static enum found descriptor_find(pid_t pid, struct source *source,
    struct stats_header *header, struct snapshot_error *error)
{
    enum found found = FOUND_NOTHING;
    struct dirent *entry;
    char path[64];
    DIR *directory;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory)
        return errno == EACCES || errno == EPERM
                   ? no_permission(error, pid)
                   : trouble(error, "no process %d", (int)pid);
    while (found == FOUND_NOTHING && (entry = readdir(directory)))
        found =
            descriptor_try(dirfd(directory), entry->d_name, pid, source, header, error);
    closedir(directory);
    return found;
}

/* -- Second door: the memory, when the program has closed the descriptor ------------
 */

static bool mapping_find(pid_t pid, off_t *start)
{
    FILE *maps = proc_open(pid, "maps");
    bool found = false;
    char line[512];

    while (maps && !found && fgets(line, sizeof(line), maps)) {
        found = strstr(line, " " LINK_TEXT) != NULL;
        if (found)
            *start = (off_t)strtoull(line, NULL, 16);
    }
    if (maps)
        fclose(maps);
    return found;
}

static enum found memory_find(pid_t pid, struct source *source,
    struct stats_header *header, struct snapshot_error *error)
{
    enum found found;
    char path[64];

    if (!mapping_find(pid, &source->offset))
        return FOUND_NOTHING;
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    source->descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (source->descriptor < 0)
        return trouble(error,
            "process %d has closed the descriptor of its stats segment, and its memory "
            "cannot be read: %s",
            (int)pid, strerror(errno));
    found = header_read(source, pid, header, error);
    if (found != FOUND)
        close(source->descriptor);
    return found;
}

/* ---------------------------------------------------------------------------------- */

static enum found segment_find(pid_t pid, struct source *source,
    struct stats_header *header, struct snapshot_error *error)
{
    enum found found = descriptor_find(pid, source, header, error);

    return found == FOUND_NOTHING ? memory_find(pid, source, header, error) : found;
}

static uint64_t monotonic_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static enum found blocks_read(const struct source *source, struct snapshot *snapshot,
    struct snapshot_error *error)
{
    struct stats_header *header = &snapshot->header;
    size_t count = header->workers + header->guest_slots + 1;
    struct stats_worker *blocks =
        aligned_alloc(STATS_ALIGNMENT, count * sizeof(*blocks));

    if (!blocks)
        return trouble(error, "out of memory");
    if (!read_at(source, sizeof(*header), blocks, count * sizeof(*blocks))) {
        free(blocks);
        return trouble(error, "process %d has ended", (int)snapshot->pid);
    }
    snapshot->blocks = blocks;
    snapshot->block_count = count;
    snapshot->taken = monotonic_now();
    return FOUND;
}

int snapshot_take(struct snapshot *snapshot, pid_t pid, struct snapshot_error *error)
{
    struct snapshot new = {.pid = pid};
    struct source source = {.descriptor = -1};
    enum found found;

    command_read(&new);
    found = segment_find(pid, &source, &new.header, error);
    if (found == FOUND) {
        found = blocks_read(&source, &new, error);
        close(source.descriptor);
    } else if (found == FOUND_NOTHING) {
        trouble(error,
            "process %d (%s) has no stats segment: it does not use libgrove, has not "
            "started it yet, or could not make one",
            (int)pid, new.command);
    }
    if (found != FOUND)
        return -1;
    *snapshot = new;
    return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->blocks);
    snapshot->blocks = NULL;
}

/* SPDX-License-Identifier: MIT */

/*
 * hwloc and the affinity mask know which CPUs a process may use, not for how much of
 * the time: the quota stands only in files of the control groups.
 *
 * /proc/self/cgroup names the group of the process in each hierarchy,
 * /proc/self/mountinfo says where a hierarchy is mounted and which of its groups is the
 * top of that mount. Inside a container the top is usually the container's own group,
 * and what limits the groups above it cannot be seen. Files that are missing or say
 * something unknown limit nothing: a start must not fail over them.
 */
#include "sched/cgroup.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum version { VERSION_1, VERSION_2, VERSIONS };

/* The groups of this process that can carry a CPU quota; NULL where it has none. */
struct groups {
    char *path[VERSIONS];
};

/* Is `word` one of the words of a list split by commas? */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (;; list++) {
        size_t width = strcspn(list, ",");
        if (width == length && memcmp(list, word, length) == 0)
            return true;
        list += width;
        if (*list == '\0')
            return false;
    }
}

/* Opens root + path + name; NULL with ENOMEM, or with any other error: not there. */
static FILE *open_below(const char *root, const char *path, const char *name)
{
    size_t room = strlen(root) + strlen(path) + strlen(name) + 1;
    char *full = malloc(room);
    if (full == NULL)
        return NULL;
    snprintf(full, room, "%s%s%s", root, path, name);
    FILE *file = fopen(full, "re");
    int error = errno;
    free(full);
    errno = error;
    return file;
}

/* As getline, without the newline; -1 with errno 0 at the end of the file. */
static ssize_t read_line(FILE *file, char **line, size_t *room)
{
    errno = 0;
    ssize_t length = getline(line, room, file);
    if (length > 0 && (*line)[length - 1] == '\n')
        (*line)[--length] = '\0';
    if (length < 0 && errno != ENOMEM)
        errno = 0;
    return length;
}

/* One line of /proc/self/cgroup: "hierarchy:controllers:path". */
static int take_group(char *line, struct groups *groups)
{
    char *controllers = strchr(line, ':');
    char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (path == NULL)
        return 0;
    *controllers++ = '\0';
    *path++ = '\0';

    enum version version;
    if (*controllers == '\0' && strcmp(line, "0") == 0)
        version = VERSION_2;
    else if (list_has(controllers, "cpu"))
        version = VERSION_1;
    else
        return 0;
    if (groups->path[version] != NULL)
        return 0;
    groups->path[version] = strdup(path);
    return groups->path[version] != NULL ? 0 : -1;
}

static int read_groups(const char *root, struct groups *groups)
{
    FILE *file = open_below(root, "/proc/self/cgroup", "");
    if (file == NULL)
        return errno == ENOMEM ? -1 : 0;
    char *line = NULL;
    size_t room = 0;
    int result = 0;
    while (result == 0 && read_line(file, &line, &room) >= 0)
        result = take_group(line, groups);
    if (errno == ENOMEM)
        result = -1;
    free(line);
    fclose(file);
    return result;
}

/* The smaller of two limits, of which 0 is none. */
static int tighter(int a, int b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* The first line of a group's file as numbers; returns how many were read, or -1. */
static int read_numbers(const char *root, const char *group, const char *name,
    long long *first, long long *second)
{
    FILE *file = open_below(root, group, name);
    if (file == NULL)
        return errno == ENOMEM ? -1 : 0;
    int count = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return count > 0 ? count : 0;
}

/* The limit of one group alone. "max", -1 and whatever is not positive is none. */
static int group_limit(const char *root, const char *group, enum version version)
{
    long long quota = 0, period = 0, unused;
    int count;
    if (version == VERSION_2) {
        count = read_numbers(root, group, "/cpu.max", &quota, &period);
    } else {
        count = read_numbers(root, group, "/cpu.cfs_quota_us", &quota, &unused);
        if (count > 0)
            count = read_numbers(root, group, "/cpu.cfs_period_us", &period, &unused);
    }
    if (count < 0)
        return -1;
    if (quota <= 0 || period <= 0)
        return 0;
    long long cpus = quota / period + (quota % period != 0);
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/*
 * The path of `group` below `top`; NULL when it is not below it. A ".." stands in
 * either where a namespace hides what is above: nothing can be said then.
 */
static const char *below(const char *group, const char *top)
{
    size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
    if (strncmp(group, top, length) != 0 || strstr(group, "/..") != NULL)
        return NULL;
    group += length;
    if (*group != '\0' && *group != '/')
        return NULL;
    return strcmp(group, "/") == 0 ? "" : group;
}

/* The tightest limit from `group` up to the top of one mount. */
static int mount_limit(const char *root, const char *mount_point, const char *top,
    const char *group, enum version version)
{
    const char *rest = below(group, top);
    if (rest == NULL)
        return 0;
    size_t mount_length = strlen(mount_point);
    size_t room = mount_length + strlen(rest) + 1;
    char *path = malloc(room);
    if (path == NULL)
        return -1;
    snprintf(path, room, "%s%s", mount_point, rest);

    int limit = 0;
    for (;;) {
        int own = group_limit(root, path, version);
        if (own < 0) {
            limit = -1;
            break;
        }
        limit = tighter(limit, own);
        char *last = strrchr(path + mount_length, '/');
        if (last == NULL)
            break;
        *last = '\0';
    }
    free(path);
    if (limit < 0)
        errno = ENOMEM;
    return limit;
}

/* Undoes the octal escapes of mountinfo ("\040" is a blank), in place. */
static void unescape(char *text)
{
    char *to = text;
    for (; *text != '\0'; to++) {
        unsigned code;
        int digits = 0;
        if (*text == '\\' && sscanf(text + 1, "%3o%n", &code, &digits) == 1 &&
            digits == 3) {
            *to = (char)code;
            text += 4;
        } else {
            *to = *text++;
        }
    }
    *to = '\0';
}

/*
 * The limit that one line of mountinfo leads to:
 * "id parent device top mount_point options [optional...] - type source super_options".
 */
static int line_limit(const char *root, char *line, const struct groups *groups)
{
    char *tail = strstr(line, " - cgroup");
    if (tail == NULL)
        return 0;
    *tail = '\0';
    char *position;
    char *type = strtok_r(tail + 3, " ", &position);
    char *source = strtok_r(NULL, " ", &position);
    char *super_options = strtok_r(NULL, " ", &position);
    char *top = NULL, *mount_point = NULL;
    for (int field = 1; field <= 5; field++) {
        char *word = strtok_r(field == 1 ? line : NULL, " ", &position);
        if (field == 4)
            top = word;
        if (field == 5)
            mount_point = word;
    }
    if (source == NULL || mount_point == NULL)
        return 0;

    enum version version;
    if (strcmp(type, "cgroup2") == 0)
        version = VERSION_2;
    else if (super_options != NULL && list_has(super_options, "cpu"))
        version = VERSION_1;
    else
        return 0;
    if (groups->path[version] == NULL)
        return 0;
    unescape(top);
    unescape(mount_point);
    return mount_limit(root, mount_point, top, groups->path[version], version);
}

static int limit_by_mounts(const char *root, const struct groups *groups)
{
    FILE *file = open_below(root, "/proc/self/mountinfo", "");
    if (file == NULL)
        return errno == ENOMEM ? -1 : 0;
    char *line = NULL;
    size_t room = 0;
    int limit = 0;
    while (read_line(file, &line, &room) >= 0) {
        int own = line_limit(root, line, groups);
        if (own < 0) {
            errno = ENOMEM;
            break;
        }
        limit = tighter(limit, own);
    }
    if (errno == ENOMEM)
        limit = -1;
    free(line);
    fclose(file);
    return limit;
}

int cgroup_cpu_limit(const char *root)
{
    struct groups groups = {{NULL}};
    int limit = read_groups(root, &groups);
    if (limit == 0)
        limit = limit_by_mounts(root, &groups);
    for (int version = 0; version < VERSIONS; version++)
        free(groups.path[version]);
    if (limit < 0)
        errno = ENOMEM;
    return limit;
}

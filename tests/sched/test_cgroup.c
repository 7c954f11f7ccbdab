/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/harness.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/cgroup.h"

/* A directory that stands for / in one test. */
static char root[] = "/tmp/test_cgroup.XXXXXX";

static int remove_entry(
    const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info, (void)type, (void)position;
    return remove(path);
}

static void make_root(void)
{
    memcpy(root + sizeof(root) - 7, "XXXXXX", 6);
    if (mkdtemp(root) == NULL)
        CHECK_STRING("mkdtemp", "");
}

static void remove_root(void)
{
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the root, with the directories it needs. */
static void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL;
         slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    if (!CHECK(file != NULL))
        return;
    fputs(text, file);
    fclose(file);
}

static int limit(void)
{
    return cgroup_cpu_limit(root);
}

static void put_version_2(const char *group)
{
    char line[256];
    snprintf(line, sizeof(line), "0::%s\n", group);
    put("/proc/self/cgroup", line);
    put("/proc/self/mountinfo",
        "22 1 0:20 / /proc rw,nosuid - proc proc rw\n"
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
}

static void put_version_1(const char *group)
{
    char lines[256];
    snprintf(lines, sizeof(lines), "5:cpuset:/\n4:cpu,cpuacct:%s\n1:name=systemd:/x\n",
        group);
    put("/proc/self/cgroup", lines);
    put("/proc/self/mountinfo",
        "40 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "41 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup "
        "rw,cpu,cpuacct\n");
}

static void missing_files_are_no_limit(void)
{
    make_root();
    CHECK_EQUAL(limit(), 0);
    put("/proc/self/cgroup", "0::/a\n");
    CHECK_EQUAL(limit(), 0);
    put_version_2("/a");
    CHECK_EQUAL(limit(), 0);
    remove_root();
}

static void this_machine_can_be_read(void)
{
    CHECK(cgroup_cpu_limit("") >= 0);
}

static void version_2_quota_is_rounded_up(void)
{
    make_root();
    put_version_2("/app");
    put("/sys/fs/cgroup/app/cpu.max", "150000 100000\n");
    CHECK_EQUAL(limit(), 2);
    put("/sys/fs/cgroup/app/cpu.max", "200000 100000\n");
    CHECK_EQUAL(limit(), 2);
    put("/sys/fs/cgroup/app/cpu.max", "200001 100000\n");
    CHECK_EQUAL(limit(), 3);
    put("/sys/fs/cgroup/app/cpu.max", "1000 100000\n");
    CHECK_EQUAL(limit(), 1);
    remove_root();
}

static void version_2_without_quota(void)
{
    make_root();
    put_version_2("/app");
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    CHECK_EQUAL(limit(), 0);
    remove_root();
}

static void tightest_ancestor_counts(void)
{
    make_root();
    put_version_2("/pod/app/worker");
    put("/sys/fs/cgroup/pod/app/worker/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/pod/app/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
    CHECK_EQUAL(limit(), 3);
    put("/sys/fs/cgroup/pod/app/worker/cpu.max", "50000 100000\n");
    CHECK_EQUAL(limit(), 1);
    remove_root();
}

static void sibling_group_does_not_count(void)
{
    make_root();
    put_version_2("/pod/app");
    put("/sys/fs/cgroup/pod/application/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/pod/cpu.max", "400000 100000\n");
    CHECK_EQUAL(limit(), 4);
    remove_root();
}

static void version_1_quota(void)
{
    make_root();
    put_version_1("/docker/abc");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
    CHECK_EQUAL(limit(), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
    CHECK_EQUAL(limit(), 3);
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "20000\n");
    CHECK_EQUAL(limit(), 1);
    remove_root();
}

static void version_1_other_controllers_do_not_count(void)
{
    make_root();
    put_version_1("/a");
    put("/proc/self/cgroup", "4:cpuacct:/a\n5:cpuset:/a\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    CHECK_EQUAL(limit(), 0);
    remove_root();
}

static void tighter_of_both_versions_counts(void)
{
    make_root();
    put("/proc/self/cgroup", "4:cpu:/one\n0::/two\n");
    put("/proc/self/mountinfo", "41 30 0:31 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
                                "42 30 0:32 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    put("/cg/cpu/one/cpu.cfs_quota_us", "400000\n");
    put("/cg/cpu/one/cpu.cfs_period_us", "100000\n");
    put("/cg/unified/two/cpu.max", "600000 100000\n");
    CHECK_EQUAL(limit(), 4);
    put("/cg/unified/two/cpu.max", "200000 100000\n");
    CHECK_EQUAL(limit(), 2);
    remove_root();
}

/* A container without a cgroup namespace: its own group is the top of its mount. */
static void container_mount(void)
{
    make_root();
    put("/proc/self/cgroup", "0::/docker/abc/inner\n");
    put("/proc/self/mountinfo",
        "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("/sys/fs/cgroup/cpu.max", "500000 100000\n");
    CHECK_EQUAL(limit(), 5);
    put("/sys/fs/cgroup/inner/cpu.max", "400000 100000\n");
    CHECK_EQUAL(limit(), 4);
    remove_root();
}

static void mount_of_another_group_does_not_count(void)
{
    make_root();
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    put("/proc/self/mountinfo",
        "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("/proc/self/cgroup", "0::/docker/abcdef\n");
    CHECK_EQUAL(limit(), 0);
    put("/proc/self/cgroup", "0::/../other\n");
    CHECK_EQUAL(limit(), 0);
    put("/proc/self/cgroup", "0::/docker/abc\n");
    CHECK_EQUAL(limit(), 1);
    remove_root();
}

static void escaped_mount_point(void)
{
    make_root();
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup rw\n");
    put("/my groups/a/cpu.max", "700000 100000\n");
    CHECK_EQUAL(limit(), 7);
    remove_root();
}

static void nonsense_is_no_limit(void)
{
    static const char *const values[] = {"", "\n", "max", "max max", "100000",
        "0 100000", "100000 0", "-5 100000", "100000 -1", "many 7", "x", "\377\376"};
    make_root();
    put_version_2("/a");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        put("/sys/fs/cgroup/a/cpu.max", values[i]);
        CHECK_EQUAL(limit(), 0);
    }
    put("/sys/fs/cgroup/a/cpu.max", "9223372036854775807 1\n");
    CHECK_EQUAL(limit(), INT_MAX);
    remove_root();
}

static void broken_lines_are_passed_over(void)
{
    make_root();
    put_version_2("/a");
    put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    put("/proc/self/mountinfo",
        "\n - cgroup2\n - cgroup2 x\n1 - cgroup2 cgroup rw\n"
        "1 2 3 - cgroup2 cgroup rw\n1 2 3 / - cgroup2 cgroup rw\n - cgroup\n"
        "1 2 3 / /bad\\0 rw - cgroup2 cgroup rw\n1 2 3 / /x rw - cgroup cgroup\n"
        "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    CHECK_EQUAL(limit(), 3);
    put("/proc/self/cgroup", "\n:\n0\n0:\n::\nx::/b\n0::/a");
    CHECK_EQUAL(limit(), 3);
    remove_root();
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"missing files are no limit", missing_files_are_no_limit},
        {"this machine can be read", this_machine_can_be_read},
        {"version 2: the quota is rounded up", version_2_quota_is_rounded_up},
        {"version 2: no quota", version_2_without_quota},
        {"the tightest ancestor counts", tightest_ancestor_counts},
        {"a sibling group does not count", sibling_group_does_not_count},
        {"version 1: quota", version_1_quota},
        {"version 1: other controllers do not count",
            version_1_other_controllers_do_not_count},
        {"the tighter of both versions counts", tighter_of_both_versions_counts},
        {"a container's mount", container_mount},
        {"a mount of another group does not count",
            mount_of_another_group_does_not_count},
        {"an escaped mount point", escaped_mount_point},
        {"nonsense is no limit", nonsense_is_no_limit},
        {"broken lines are passed over", broken_lines_are_passed_over},
    };
    return harness_main("cgroup", tests, sizeof(tests) / sizeof(tests[0]));
}

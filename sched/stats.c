/* SPDX-License-Identifier: MIT */

/*
 * The segment is a memfd that grove-stat opens through /proc/PID/fd.
 *
 * Against a named file in /dev/shm: it goes with its process however that ends, so
 * nothing stale can be left and no name can be taken by another; it needs no /dev/shm,
 * which containers lack or make tiny, and no path both sides agree on across mount
 * namespaces; and the kernel lets in who may ptrace-read the process and owns the file.
 * It costs one descriptor. A program that closes all it does not know (daemons do) only
 * hides the segment from that door: the mapping stays, and grove-stat then reads it
 * through /proc/PID/mem, which needs full ptrace permission.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sched/stats.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* header and guests are changed under guests_lock; the caller orders opening and
 * closing with everything else. own_block: its thread only. */
static struct {
    struct stats_header *header; /* NULL when not open */
    size_t size;
    int guests; /* attached ones that have a block */
    bool shared;
    int descriptor; /* meaningful when shared */
    dev_t device;   /* that descriptor's file, to know it again */
    ino_t inode;
} segment;

static pthread_mutex_t guests_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct stats_worker *own_block;

/* For writers without a block. Several may write: counts get lost, nobody reads them.
 */
static struct stats_worker unread_block;

uint64_t stats_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool stats_shared(void)
{
    return segment.shared;
}

static struct stats_worker *block_at(size_t index)
{
    return (struct stats_worker *)(segment.header + 1) + index;
}

static struct stats_worker *guest_at(size_t index)
{
    return block_at(segment.header->workers + index);
}

static bool is_block(const struct stats_worker *block)
{
    return segment.header && block >= block_at(0) && block < guest_at(STATS_GUESTS);
}

static bool is_guest(const struct stats_worker *block)
{
    return is_block(block) && block >= guest_at(0);
}

/* -- The memory ------------------------------------------------------------------- */

/* A memfd of the size that only the owner may open, or -1. */
static int descriptor_make(size_t size)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(STATS_SEGMENT_NAME, flags | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create(STATS_SEGMENT_NAME, flags);
    if (fd < 0)
        return -1;
    /* Sealed: a shorter file would make each count a SIGBUS. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) || ftruncate(fd, (off_t)size) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The program may have closed our descriptor and been given its number again. */
static bool descriptor_is_ours(void)
{
    struct stat status;

    return segment.shared && !fstat(segment.descriptor, &status) &&
           status.st_dev == segment.device && status.st_ino == segment.inode;
}

static void descriptor_drop(void)
{
    if (descriptor_is_ours())
        close(segment.descriptor);
    segment.shared = false;
}

static void *memory_map(void *at, size_t size, int fd)
{
    int kind = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

    if (at)
        kind |= MAP_FIXED;
    return mmap(at, size, PROT_READ | PROT_WRITE, kind | MAP_POPULATE, fd, 0);
}

/* Zeroed memory, shared if possible, private if not; at the given address (in place of
 * what is there) unless that is NULL. MAP_FAILED when neither can be had. */
static void *memory_make(void *at, size_t size)
{
    struct stat status;
    int fd = descriptor_make(size);
    void *memory;

    segment.shared = false;
    if (fd >= 0) {
        memory = memory_map(at, size, fd);
        if (memory != MAP_FAILED && !fstat(fd, &status)) {
            segment.shared = true;
            segment.descriptor = fd;
            segment.device = status.st_dev;
            segment.inode = status.st_ino;
            return memory;
        }
        close(fd);
    }
    return memory_map(at, size, -1);
}

/* -- Opening and closing ---------------------------------------------------------- */

/* The release: a reader that finds the magic finds the rest of the header too; its
 * partner is segment_read() in tools/stats_segment.c. */
static void header_publish(struct stats_header *header)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    header->pid = (uint64_t)getpid();
    header->start_realtime = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    header->start_monotonic = stats_now();
    __atomic_store_n(&header->magic, STATS_MAGIC, __ATOMIC_RELEASE);
}

static void text_copy(char *to, size_t size, const char *from)
{
    if (from)
        strncpy(to, from, size - 1); /* the memory is zeroed */
}

static void header_fill(struct stats_header *header, const struct stats_setup *setup)
{
    header->layout_version = STATS_LAYOUT_VERSION;
    header->header_size = sizeof(struct stats_header);
    header->worker_size = sizeof(struct stats_worker);
    header->workers = (uint64_t)setup->workers;
    header->guest_slots = STATS_GUESTS;
    header->stack_size = setup->stack_size;
    text_copy(header->library_version, sizeof(header->library_version), setup->version);
    text_copy(header->bind, sizeof(header->bind), setup->bind);
    text_copy(header->backend, sizeof(header->backend), setup->backend);
}

static void fork_prepare(void)
{
    pthread_mutex_lock(&guests_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&guests_lock);
}

/* Puts the child's own memory where the parent's is mapped. The calling thread is the
 * only one, and keeps its block. Async-signal-safe calls only. */
static void segment_replace(void)
{
    struct stats_header header = *segment.header;
    struct stats_worker *own = is_block(own_block) ? own_block : NULL;
    int64_t pu = own ? own->pu : -1;

    descriptor_drop();
    /* Replacing a mapping by one of its size takes no more memory map entries; what is
     * left to fail is memory, and then fork would have failed first. */
    if (memory_make(segment.header, segment.size) == MAP_FAILED)
        return;
    header.magic = 0;
    header.guests_unlisted = own_block == &unread_block;
    *segment.header = header;
    segment.guests = is_guest(own);
    if (own)
        stats_worker_start(own, (int)pu);
    header_publish(segment.header);
}

static void fork_child(void)
{
    if (segment.header)
        segment_replace();
    pthread_mutex_unlock(&guests_lock);
}

/* Once per process and its children: handlers cannot be taken back. */
static int fork_handlers_register(void)
{
    static bool registered;

    if (!registered && pthread_atfork(fork_prepare, fork_parent, fork_child))
        return -ENOMEM;
    registered = true;
    return 0;
}

int stats_open(const struct stats_setup *setup)
{
    size_t blocks = (size_t)setup->workers + STATS_GUESTS + 1;
    size_t size = sizeof(struct stats_header) + blocks * sizeof(struct stats_worker);
    void *memory;

    if (setup->workers < 1 || setup->workers > STATS_WORKERS_MAX)
        return -EINVAL;
    if (segment.header)
        return -EBUSY;
    if (fork_handlers_register())
        return -ENOMEM;
    memory = memory_make(NULL, size);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    header_fill(memory, setup);
    header_publish(memory);
    pthread_mutex_lock(&guests_lock);
    segment.size = size;
    segment.guests = 0;
    segment.header = memory;
    pthread_mutex_unlock(&guests_lock);
    return 0;
}

void stats_close(void)
{
    pthread_mutex_lock(&guests_lock);
    if (segment.header) {
        descriptor_drop();
        if (!segment.guests)
            munmap(segment.header, segment.size);
        segment.header = NULL;
    }
    pthread_mutex_unlock(&guests_lock);
}

/* -- Workers ---------------------------------------------------------------------- */

struct stats_worker *stats_worker(int index)
{
    if (!segment.header || index < 0 || (uint64_t)index >= segment.header->workers)
        return &unread_block;
    return block_at((size_t)index);
}

void stats_worker_start(struct stats_worker *worker, int pu)
{
    own_block = worker;
    __atomic_store_n(&worker->pu, pu, __ATOMIC_RELAXED);
    stats_set(worker, state_since, stats_now());
    stats_set(worker, state, STATS_RUNNING);
    stats_set(worker, thread_id, (uint64_t)gettid());
}

void stats_worker_stop(struct stats_worker *worker)
{
    own_block = NULL;
    stats_add(worker, busy_ns, stats_now() - worker->state_since);
    stats_set(worker, state, STATS_ABSENT);
    stats_set(worker, thread_id, 0);
}

/* -- Guests ----------------------------------------------------------------------- */

static const enum stats_kind field_kinds[STATS_FIELD_COUNT] = {
#define FIELD_KIND(field, kind, unit, title, meaning) STATS_##kind,
    STATS_FIELDS(FIELD_KIND)
#undef FIELD_KIND
};

static struct stats_worker *guest_find_free(void)
{
    for (size_t i = 0; segment.header && i < STATS_GUESTS; i++) {
        if (!guest_at(i)->thread_id)
            return guest_at(i);
    }
    return NULL;
}

struct stats_worker *stats_guest_attach(void)
{
    struct stats_worker *guest;

    pthread_mutex_lock(&guests_lock);
    guest = guest_find_free();
    if (guest) {
        stats_worker_start(guest, -1);
        segment.guests++;
    } else {
        guest = own_block = &unread_block;
        if (segment.header)
            stats_add(segment.header, guests_unlisted, 1);
    }
    pthread_mutex_unlock(&guests_lock);
    return guest;
}

/* Moves what a guest counted to the block of ended guests, so that totals never shrink
 * and the next guest starts from zero. */
static void guest_fold(struct stats_worker *guest)
{
    uint64_t *from = (uint64_t *)guest;
    uint64_t *to = (uint64_t *)guest_at(STATS_GUESTS);

    for (size_t i = 0; i < STATS_FIELD_COUNT; i++) {
        if (field_kinds[i] != STATS_GAUGE)
            stats_word_add(&to[i], from[i]);
        stats_word_set(&from[i], 0);
    }
}

void stats_guest_detach(struct stats_worker *guest)
{
    pthread_mutex_lock(&guests_lock);
    if (is_guest(guest)) {
        stats_worker_stop(guest);
        guest_fold(guest);
        segment.guests--;
    } else {
        own_block = NULL;
        if (guest == &unread_block && segment.header && segment.header->guests_unlisted)
            stats_add(segment.header, guests_unlisted, (uint64_t)-1);
    }
    pthread_mutex_unlock(&guests_lock);
}

/* A disk that fails on command: a VFS in front of SQLite's own, for tests that include it. Writes
 * can fail at the n-th (once, or from there on), syncs can fail, and it keeps count of writes to
 * the WAL that no sync has followed yet. One test program, one disk. */
#ifndef CS_TESTS_FAULT_VFS_H
#define CS_TESTS_FAULT_VFS_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static struct {
    atomic_int write_at;     /* counts down; at 1 that write fails. 0: none does */
    atomic_bool for_ever;    /* and all after it */
    atomic_int write_code;   /* with this */
    atomic_bool sync_fails;  /* SQLITE_IOERR_FSYNC */
    atomic_int wal_unsynced; /* writes to a WAL since its last sync */
    atomic_int wal_syncs;
    sqlite3_vfs *real;
    sqlite3_vfs vfs;
} disk;

struct fault_file {
    sqlite3_file base;
    bool wal;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

static void disk_heal(void)
{
    atomic_store(&disk.write_at, 0);
    atomic_store(&disk.for_ever, false);
    atomic_store(&disk.sync_fails, false);
}

static bool write_fails(void)
{
    int left = atomic_load(&disk.write_at);
    if (left == 0)
        return false;
    if (left > 1) {
        atomic_store(&disk.write_at, left - 1);
        return false;
    }
    if (!atomic_load(&disk.for_ever))
        atomic_store(&disk.write_at, 0);
    return true;
}

static int fault_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int fault_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int fault_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (write_fails())
        return atomic_load(&disk.write_code);
    if (((struct fault_file *)f)->wal)
        atomic_fetch_add(&disk.wal_unsynced, 1);
    return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static int fault_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return real_of(f)->pMethods->xTruncate(real_of(f), n);
}

static int fault_sync(sqlite3_file *f, int flags)
{
    if (atomic_load(&disk.sync_fails))
        return SQLITE_IOERR_FSYNC;
    if (((struct fault_file *)f)->wal) {
        atomic_store(&disk.wal_unsynced, 0);
        atomic_fetch_add(&disk.wal_syncs, 1);
    }
    return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int fault_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), n);
}

static int fault_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int fault_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int fault_reserved(sqlite3_file *f, int *ret)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int fault_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int fault_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int fault_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int fault_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}

static int fault_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void fault_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int fault_shm_unmap(sqlite3_file *f, int del)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), del);
}

static int fault_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = fault_close,
        .xRead = fault_read,
        .xWrite = fault_write,
        .xTruncate = fault_truncate,
        .xSync = fault_sync,
        .xFileSize = fault_size,
        .xLock = fault_lock,
        .xUnlock = fault_unlock,
        .xCheckReservedLock = fault_reserved,
        .xFileControl = fault_control,
        .xSectorSize = fault_sector,
        .xDeviceCharacteristics = fault_device,
        .xShmMap = fault_shm_map,
        .xShmLock = fault_shm_lock,
        .xShmBarrier = fault_shm_barrier,
        .xShmUnmap = fault_shm_unmap,
    };
    struct fault_file *file = (struct fault_file *)f;
    (void)v;
    file->base.pMethods = NULL;
    file->wal = (flags & SQLITE_OPEN_WAL) != 0;
    file->real = (sqlite3_file *)(file + 1);
    int rc = disk.real->xOpen(disk.real, name, file->real, flags, ret_flags);
    if (file->real->pMethods != NULL)
        file->base.pMethods = &methods;
    return rc;
}

/* From here on every database of this process is on this disk. */
static void disk_install(void)
{
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "fault";
    disk.vfs.pNext = NULL;
    disk.vfs.szOsFile = (int)sizeof(struct fault_file) + disk.real->szOsFile;
    disk.vfs.xOpen = fault_open;
    (void)sqlite3_vfs_register(&disk.vfs, 1);
}

#endif

/* Connections that read, lent to one function at a time. Each function sees one snapshot of what
 * has been committed; a writing query is refused. */
#include <stdlib.h>
#include "store/sqlite.h"

int sqlite_readers_open(struct sqlite_readers *p, const char *path, size_t n, struct fail *f)
{
    p->idle = calloc(n, sizeof(struct sqlite_conn *));
    if (p->idle == NULL)
        return fail_set(f, ERR_NOMEM, "no memory for reading connections");
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->returned, NULL);
    for (; p->n < n; p->n++) {
        int err = sqlite_conn_open(path, false, &p->idle[p->n], f);
        if (err != 0)
            return err;
        p->idle_n++;
    }
    return 0;
}

void sqlite_readers_close(struct sqlite_readers *p)
{
    if (p->idle == NULL)
        return;
    CS_ASSERT(p->idle_n == p->n);
    for (size_t i = 0; i < p->n; i++)
        sqlite_conn_close(p->idle[i]);
    pthread_cond_destroy(&p->returned);
    pthread_mutex_destroy(&p->lock);
    free(p->idle);
}

static struct sqlite_conn *borrow(struct sqlite_readers *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->idle_n == 0)
        pthread_cond_wait(&p->returned, &p->lock);
    struct sqlite_conn *c = p->idle[--p->idle_n];
    pthread_mutex_unlock(&p->lock);
    return c;
}

static void give_back(struct sqlite_readers *p, struct sqlite_conn *c)
{
    pthread_mutex_lock(&p->lock);
    p->idle[p->idle_n++] = c;
    pthread_cond_signal(&p->returned);
    pthread_mutex_unlock(&p->lock);
}

int sqlite_readers_run(struct sqlite_readers *p, store_fn *fn, void *arg)
{
    struct sqlite_conn *c = borrow(p);
    int err = sqlite_conn_verb(c, VERB_BEGIN_READ);
    if (err == 0) {
        err = sqlite_conn_call(c, fn, arg);
        if (c->err != 0)
            atomic_fetch_add(&p->failures, 1);
    }
    sqlite_conn_abandon(c); /* gives the snapshot up; there is nothing to commit */
    give_back(p, c);
    atomic_fetch_add(&p->reads, 1);
    return err;
}

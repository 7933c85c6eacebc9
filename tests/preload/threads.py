# SPDX-License-Identifier: MIT
#
# threads.py DATABASE - an interpreter's threads: queues, events, barriers, timed
# waits, and one SQLite database written by all of them.
import queue
import sqlite3
import sys
import threading

jobs, answers = queue.Queue(8), queue.Queue()
together = threading.Barrier(4)
rows = threading.Semaphore(2)


def work(number):
    database = sqlite3.connect(sys.argv[1], timeout=50)
    together.wait()
    while True:
        job = jobs.get()
        if job is None:
            break
        with rows, database:
            database.execute('insert into t values (?, ?)', (job, job * job))
        answers.put(job)
    database.close()


setup = sqlite3.connect(sys.argv[1])
setup.execute('pragma journal_mode = wal')
setup.execute('create table t(a, b)')
setup.execute('pragma synchronous = off')
setup.commit()
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
for i in range(400):
    jobs.put(i)
for thread in threads:
    jobs.put(None)
for thread in threads:
    thread.join()
print('answers', sum(answers.get() for _ in range(400)), answers.empty())
print('rows', setup.execute('select count(*), sum(a), sum(b) from t').fetchone())
print('late', threading.Event().wait(0.05), threading.Lock().acquire(timeout=0.05))

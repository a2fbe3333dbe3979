/*
 * Who drives the loop: Helm (lib/net/helm.hpp) with its Bell, and the turns of CurlDriver. What is
 * done under the mutex is several steps here, between lock and unlock.
 *
 * Claims, over every interleaving of a caller that waits for its exchange and then reads it, an
 * exchange that is started, and a credit that is reported:
 *  - One thread at a time is at the helm.
 *  - When nothing moves any more, every exchange was carried out, every credit was processed, and
 *    nobody is at the helm: also if a reader to whom it was lent never comes back.
 *  - After stop() the I/O thread ends, whoever was at the helm.
 *
 * One step after another is sequential consistency; H1 to H3 name what makes it enough.
 *
 * STOP adds a stop() at any moment.
 * The BREAK_ macros are the mistakes that this model must find: run_spin.sh defines each in turn.
 */

mtype = { nobody, caller, io_thread };

mtype lead = nobody;
bool locked;
bool rung;     /* Bell::rung_ */
bool readable; /* its descriptor */
byte inbox;
byte credits;
bool lent;
bool watching;
bit lefts; /* Helm::turns_; seeing it unchanged too often does no harm */
bool sleeping; /* the I/O thread, on the condition variable */
bool notified;
byte running; /* exchanges under way: libcurl can always go on with them */
bool stopping;
bool ended; /* the I/O thread */
byte driving; /* for the assertion only */

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

inline ring_bell() {
  rung = true;
  readable = true
}

inline clear_bell() {
#ifdef BREAK_CLEAR_ORDER
  rung = false;
  readable = false
#else
  readable = false;
  rung = false
#endif
}

/* called_.notify_one() */
inline notify() {
  if
  :: sleeping -> notified = true
  :: else
  fi
}

/* Helm::ring() */
inline ring() {
#ifdef BREAK_RING_ORDER
  seen = lead;
  ring_bell();
#else
  ring_bell();
  seen = lead;
#endif
  if
  :: seen == nobody ->
     lock();
     if
     :: lead == nobody -> lead = io_thread; lent = false; notify()
     :: else
     fi;
     unlock()
  :: else
  fi
}

/* Helm::add() */
inline add() {
  lock();
  if
  :: stopping -> unlock()
  :: !stopping && lead == nobody ->
     inbox++;
     lead = io_thread;
     lent = false;
     notify();
     unlock()
  :: else ->
     inbox++;
     first = inbox == 1;
     unlock();
     if
     :: first -> ring_bell()
     :: else
     fi
  fi
}

/* A wait on the bell and the sockets. */
inline wait() {
  if
  :: readable ->
#ifndef BREAK_CLEAR_LATE
     clear_bell()
#else
     skip
#endif
  :: running > 0
  fi
}

/* CurlDriver::turn() */
inline turn() {
  credits = 0;
#ifdef BREAK_CLEAR_LATE
  clear_bell();
#endif
  if
  :: running > 0 -> running--
  :: running > 0
  :: running == 0
  fi
}

inline begin_new() {
  lock();
  d_step { running = running + inbox; inbox = 0 }
  unlock()
}

#define IDLE 0
#define LEND 1
#define GO_ON 2

/* CurlDriver::how_to_leave() */
#define HOW(comes_back) \
  (running == 0 -> IDLE : ((comes_back) && running == 1 -> LEND : GO_ON))

/* Helm::leave() */
inline leave(how) {
  driving--;
  lock();
  if
#ifdef BREAK_INBOX_FORGOTTEN
  :: how != GO_ON && !stopping ->
#else
#ifdef BREAK_STOP_FORGOTTEN
  :: how != GO_ON && inbox == 0 ->
#else
  :: how != GO_ON && inbox == 0 && !stopping ->
#endif
#endif
#ifdef BREAK_LEAVE_ORDER
     mine = rung;
     lead = nobody;
#else
     lead = nobody;
     mine = rung;
#endif
     if
     :: mine -> mine = false; lead = io_thread; notify()
     :: else ->
        d_step { lefts = 1 - lefts; lent = how == LEND }
#ifndef BREAK_LENT_UNWATCHED
        if
        :: lent && !watching -> notify()
        :: else
        fi
#endif
     fi
  :: else -> lead = io_thread; notify()
  fi;
  unlock()
}

/* called_.wait() and wait_for(): `timed` may return at any moment. */
inline sleep(timed) {
  atomic { sleeping = true; locked = false }
end_asleep:
  if
  :: notified
  :: timed
  fi;
  d_step { sleeping = false; notified = false }
  lock()
}

/* Helm::await() */
inline await() {
  lock();
  seen_lefts = lefts;
  do
  :: lead == io_thread -> break
  :: else ->
     /* it may go on watching a while, though nothing happens */
     if
     :: watching = true
     :: !lent && seen_lefts == lefts -> watching = false
     fi;
     seen_lefts = lefts;
     sleep(watching);
     if
     :: watching && lead != io_thread && lent && seen_lefts == lefts ->
        lead = io_thread;
        lent = false
     :: else
     fi
  od;
  watching = false;
  unlock()
}

active proctype IoThread() {
  bool mine, comes_back;
  bit seen_lefts;
  byte how;
  do
  :: await();
     driving++;
     assert(driving == 1);
     begin_new();
     if
     :: rung -> wait()
     :: else
     fi;
     turn();
     do
     :: stopping -> break
     :: else ->
        /* this turn may have woken a thread that slept */
        if
        :: comes_back = true
        :: comes_back = false
        fi;
        how = HOW(comes_back);
        if
        :: how != GO_ON -> break
        :: else
        fi;
        wait();
        begin_new();
        turn()
     od;
     if
     :: stopping -> driving--; break
     :: else -> leave(how)
     fi
  od;
  /* abort_all() */
  lock();
  inbox = 0;
  unlock();
  d_step { running = 0; credits = 0; ended = true }
}

/* Helm::take() */
inline take() {
  lock();
  if
  :: !stopping && lead == nobody -> lead = caller; lent = false; leads = true
  :: else
  fi;
  unlock()
}

/* CurlDriver::drive_until(): what it waits for may be there after any turn. */
inline drive() {
  driving++;
  assert(driving == 1);
  do
  :: running != 1 -> break
  :: running == 1 -> break
  :: running == 1 ->
     lock();
     alone = inbox == 0 && !stopping;
     unlock();
     if
     :: alone -> wait(); turn()
     :: else -> break
     fi
  od;
  how = HOW(true);
  leave(how)
}

/* CurlDriver::start_and_wait(), then work_until() as often as it likes: a reader may stop reading. */
active proctype Caller() {
  bool mine, first, leads, alone;
  byte how, reads;
  take();
  if
  :: leads -> leads = false; running++; turn(); drive()
  :: else -> add()
  fi;
  do
  :: reads < 1 ->
     reads++;
     take();
     if
     :: leads -> leads = false; drive()
     :: else
     fi
  :: break
  od
}

active proctype Starter() {
  bool first;
  add()
}

/* Channel::post(): a signal in the credit queue, then the ring. */
active proctype Reader() {
  mtype seen;
  credits = 1;
  ring()
}

#ifdef STOP
active proctype Stopper() {
  mtype seen;
  lock();
  stopping = true;
  unlock();
  ring()
}
#endif

/* Looks when nobody else can move. */
active proctype Judge() {
  timeout;
  assert(inbox == 0 && running == 0);
  assert(driving == 0);
#ifdef STOP
  assert(ended)
#else
  assert(credits == 0);
  assert(lead == nobody && !lent)
#endif
}

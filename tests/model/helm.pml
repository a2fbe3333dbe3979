/*
 * Who drives the loop: Helm (lib/net/helm.hpp) with its Bell, and the turns of CurlDriver. What is
 * done under the mutex is several steps here, between lock and unlock.
 *
 * Claims, over every interleaving of a caller that waits for its exchange, an exchange that is
 * started, and a credit that is reported:
 *  - One thread at a time is at the helm.
 *  - When nothing moves any more, every exchange was carried out, every credit was processed, and
 *    nobody is at the helm.
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
     :: lead == nobody -> lead = io_thread
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
  :: !stopping && lead == nobody -> inbox++; lead = io_thread; unlock()
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

/* CurlDriver::turn() */
inline turn(waits) {
  if
  :: waits || rung ->
     if
     :: readable ->
#ifndef BREAK_CLEAR_LATE
        clear_bell()
#else
        skip
#endif
     :: running > 0
     fi
  :: else
  fi;
  lock();
  d_step { running = running + inbox; inbox = 0 }
  unlock();
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

/* Helm::leave() */
inline leave(idle) {
  driving--;
  lock();
  if
#ifdef BREAK_INBOX_FORGOTTEN
  :: idle && !stopping ->
#else
#ifdef BREAK_STOP_FORGOTTEN
  :: idle && inbox == 0 ->
#else
  :: idle && inbox == 0 && !stopping ->
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
     :: mine -> mine = false; lead = io_thread
     :: else
     fi
  :: else -> lead = io_thread
  fi;
  unlock()
}

active proctype IoThread() {
  bool mine, waits;
end_parked:
  do
  :: lead == io_thread ->
     driving++;
     assert(driving == 1);
     waits = false;
     do
     :: stopping -> break
     :: else ->
        turn(waits);
        waits = true;
        if
        :: running == 0 -> break
        :: else
        fi
     od;
     if
     :: stopping -> driving--; break
     :: else -> leave(true)
     fi
  od;
  /* abort_all() */
  lock();
  inbox = 0;
  unlock();
  d_step { running = 0; credits = 0; ended = true }
}

/* CurlDriver::start_and_wait(); its exchange may have its head after any turn. */
active proctype Caller() {
  bool mine, waits, first, leads, idle;
  lock();
  if
  :: !stopping && lead == nobody -> inbox++; lead = caller; leads = true
  :: else
  fi;
  unlock();
  if
  :: leads ->
     driving++;
     assert(driving == 1);
     do
     :: turn(waits);
        waits = true;
        if
        :: running == 0 || running > 1 || stopping -> break
        :: running == 1 -> break
        :: running == 1
        fi
     od;
     idle = running == 0;
     leave(idle)
  :: else -> add()
  fi
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
  assert(lead == nobody)
#endif
}

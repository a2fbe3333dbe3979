/*
 * How a paused body gets going again: Channel::arm(), the reader's credits, the budget and
 * the credit queue (lib/flow). One atomic operation of theirs is one step here, together with
 * what touches only memory of its own; linking to the list, a loop there, is one step where it
 * succeeds.
 *
 * Claims, over every interleaving:
 *  - No lost wake-up. When nothing moves any more, no body is paused that could go on: because
 *    its reader has made room (a), has read for the first time (b), or memory was given back (c).
 *  - No node is linked twice, and each linked one is kept alive exactly once.
 *  - Whoever links to an empty list rings, and no ring is lost.
 *  - After close() nothing is linked or kept.
 *
 * One step after another is sequential consistency. That suffices: the steps that must not change
 * places are seq_cst in channel.cpp and budget.hpp (C2, C4, C5), and those on `queued` and `head`
 * are read-modify-writes of one atomic with acquire and release (Q1 to Q4). ThreadSanitizer
 * watches over the rest (tests/stress).
 *
 * CLOSE adds that the I/O thread may close its hub at any moment.
 * The BREAK_ macros are the mistakes that this model must find: run_spin.sh defines each in turn.
 */

#define NIL 8
#define SHUT 9 /* the closed mark */
#define NEVER 255

/* Nodes: a body with its reader; the budget's own; another body, which never pauses. */
#define BODY 0
#define BUDGET 1
#define OTHER 2

#define HIGH 4 /* marks in units of bytes */
#define LOW 2
#define UNREAD 2
#define TOTAL 5 /* units that the transport has */
#define SLAB 2  /* units in a slab */
#define LIMIT 5 /* budget; one slab counts one */
#define OTHERS 2 /* slabs of the other body, at first */

byte head = NIL;
byte next[3];
bool queued[3];
byte keep[3];   /* references that the list holds */
byte linked[3]; /* times in a list, for the assertions only */
bool bell;
bool gone; /* the hub was closed */

byte received;
byte drained;
byte resume_at = NEVER;
bool reading;
byte held = OTHERS;
byte waiters;  /* 1: the body is in line */
bool paused;
bool at_unread;

#define OWN(r) ((r) -> HIGH : UNREAD)
#define SHARE(h) ((h) + 1 < LIMIT -> LIMIT - (h) : 1)
#define MARK(r, h) (SHARE(h) < OWN(r) -> SHARE(h) : OWN(r))
#define LOW_MARK(r, h) (MARK(r, h) < HIGH -> 1 : LOW)
#define COULD_GO_ON(r, h, d) (received - (d) < (at_unread && (r) -> MARK(r, h) : LOW_MARK(r, h)))

/* BasicCreditQueue::push(), and the ring. */
inline push(node) {
  d_step {
    skip_push = queued[node];
    queued[node] = true;
    if
    :: skip_push
    :: else -> assert(keep[node] == 0); keep[node] = 1
    fi
  }
  if
  :: skip_push -> skip_push = false
  :: else ->
     d_step {
       seen = head;
       if
       :: seen == SHUT -> keep[node] = 0
       :: else -> next[node] = seen; head = node; linked[node]++; assert(linked[node] == 1)
       fi
     }
     if
     :: seen == SHUT -> queued[node] = false
     :: seen == NIL -> bell = true
     :: else
     fi;
     seen = 0
  fi
}

/* Budget::give_back() */
inline give_back(slabs) {
#ifdef BREAK_BUDGET_ORDER
  at = waiters;
  held = held - slabs;
#else
  held = held - slabs;
  at = waiters;
#endif
  if
  :: at > 0 -> at = 0; push(BUDGET)
  :: else
  fi
}

/* One reading thread. It may stop for ever after any read: a stalled reader. */
active proctype Reader() {
  byte at, seen, mine;
  bool skip_push;

  /* Channel::note_first_read() */
#ifdef BREAK_FIRST_READ_ORDER
  at = resume_at;
  reading = true;
#else
  reading = true;
  at = resume_at;
#endif
  if
  :: at != NEVER -> at = 0; push(BODY)
  :: else -> at = 0
  fi;

  do
  :: received > drained ->
     /* Channel::credit() */
#ifdef BREAK_CREDIT_ORDER
     at = resume_at;
     d_step { drained++; mine = drained };
#else
     d_step { drained++; mine = drained };
     at = resume_at;
#endif
     if
     :: mine >= at -> at = 0; push(BODY)
     :: else -> at = 0
     fi;
     if
     :: mine % SLAB == 0 -> mine = 0; give_back(1)
     :: else -> mine = 0
     fi
  :: break
  od
}

/* The other body's reader has a credit to report, and gives all its memory back. */
active proctype OtherReader() {
  byte at, seen;
  bool skip_push;
  push(OTHER);
  give_back(OTHERS)
}

/* Channel::arm(); `armed` false: it need not pause, or may go on. */
inline arm() {
  if
  :: paused
  :: else -> at_unread = !reading
  fi;
  published = NEVER;
  do
  :: r = reading;
     h = held;
     d = drained;
     if
     :: COULD_GO_ON(r, h, d) -> resume_at = NEVER; waiters = 0; armed = false; break
     :: else ->
        d_step {
          at_unread = at_unread && !r;
          wanted = received - LOW_MARK(r, h) + 1;
          by_budget = SHARE(h) < OWN(r)
        }
        if
#ifdef BREAK_NO_REPUBLISH
        :: published != NEVER -> armed = true; break
#endif
#ifdef BREAK_LINE_FORGOTTEN
        :: wanted == published -> armed = true; break
#endif
        :: wanted == published && by_budget == waiters -> armed = true; break
        :: else ->
           published = wanted;
           resume_at = wanted;
           waiters = by_budget;
#ifdef BREAK_NO_RECHECK
           armed = true;
           break
#endif
        fi
     fi
  od;
  skip;
  d_step { published = 0; wanted = 0; by_budget = false; r = 0; h = 0; d = 0 }
}

inline handle(node) {
  if
  :: node != OTHER && paused ->
     arm();
     d_step { paused = armed; armed = false } /* not armed: Producer::resume_transfer() */
  :: else
  fi
}

/* BasicCreditQueue::drain() */
inline process() {
#ifdef BREAK_BELL_ORDER
  d_step { list = head; head = NIL }
  bell = false;
#else
  bell = false;
  d_step { list = head; head = NIL }
#endif
  do
  :: list != NIL ->
     d_step {
       taken = list;
       list = next[taken];
       assert(keep[taken] == 1);
       keep[taken] = 0;
       linked[taken]--
     }
#ifdef BREAK_CLEAR_LATE
     handle(taken);
     queued[taken] = false
#else
     queued[taken] = false;
     handle(taken)
#endif
  :: else -> break
  od;
  skip;
  d_step { list = 0; taken = 0 }
}

inline close() {
#ifdef BREAK_CLOSE
  d_step { list = head; head = NIL }
#else
  d_step { list = head; head = SHUT }
#endif
  do
  :: list != NIL ->
     d_step {
       taken = list;
       list = next[taken];
       keep[taken] = 0;
       linked[taken]--
     }
     queued[taken] = false
  :: else -> break
  od;
  skip;
  d_step { list = 0; taken = 0; gone = true }
}

/* Channel::offer() of one unit. */
inline offer() {
  r = reading;
  h = held;
  d = drained;
  if
  :: received - d >= MARK(r, h) -> d_step { r = 0; h = 0; d = 0 }; arm()
  :: else -> d_step { r = 0; h = 0; d = 0 }
  fi;
  if
  :: armed -> d_step { paused = true; armed = false }
  :: else ->
     if
     :: received % SLAB == 0 -> held++
     :: else
     fi;
     received++
  fi
}

active proctype Io() {
  byte list, taken, h, d, wanted, published;
  bool r, armed, by_budget;
end_waiting:
  do
  :: !paused && received < TOTAL -> offer()
  :: bell -> process()
#ifdef CLOSE
  :: close(); break
#endif
  od
}

/* Looks when nobody else can move. */
active proctype Judge() {
  timeout;
  assert(linked[BODY] + linked[BUDGET] + linked[OTHER] == 0);
  assert(keep[BODY] + keep[BUDGET] + keep[OTHER] == 0);
  assert(!queued[BODY] && !queued[BUDGET] && !queued[OTHER]);
  assert(gone || !paused || !COULD_GO_ON(reading, held, drained))
}

#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace weir::net {

/// One who may have to look up a host: a transfer. Must leave() before it is destroyed.
class LookupSeeker {
 public:
  /// Since enter() said yes: the answer has come, or none is wanted any more.
  virtual bool lookup_over() const noexcept = 0;

  /// It must not begin, until LookupGate::next() names it.
  bool held() const noexcept { return place_ == Place::held || place_ == Place::free; }
  /// Its lookup is under way, as far as the gate knows.
  bool looks_up() const noexcept { return place_ == Place::looking; }

 protected:
  LookupSeeker() = default;
  LookupSeeker(const LookupSeeker&) = delete;
  LookupSeeker& operator=(const LookupSeeker&) = delete;
  ~LookupSeeker() = default;

 private:
  friend class LookupGate;
  enum class Place { outside, held, free, called, looking };

  struct Question {  // seldom asked: apart
    std::string host;
    std::list<LookupSeeker*>::iterator line{};  // held, free: its place in line
  };

  Place place_ = Place::outside;
  std::unique_ptr<Question> question_;  // since it asked
};

/// Lets one lookup of a host be under way at a time, and kMost of all hosts: libcurl makes a thread
/// for each. The others are held until the one in front has the answer, which libcurl's cache then
/// has for them too.
///
/// | place   | event                                            | next    |
/// |---------|--------------------------------------------------|---------|
/// | outside | enter(): there is room, and nobody asks the same | looking |
/// | outside | enter(), else                                    | held    |
/// | looking | the answer came                                  | outside |
/// | held    | the same, for who asked the same                 | free    |
/// | held    | next(): there is room, and nobody asks the same  | called  |
/// | free    | next()                                           | outside |
/// | called  | enter()                                          | looking |
/// | called  | settle(): it has had its turn, and did not ask   | outside |
/// | any     | leave(); take_companions() of who is held        | outside |
///
/// Invariants:
///  L1  Nobody is held for ever: who is held has kMost before it, or one who asks the same. Those
///      `called` leave at the next settle() at the latest; those `looking` when their lookup ends,
///      of which settle() learns; and whoever leaves makes next() look again.
///  L2  At most kMost are called or looking, no two of them for the same host.
///
/// So settle() and then next(), until it has no more, must follow whatever may have ended a lookup.
/// Thread-safety: one thread.
class LookupGate {
 public:
  static constexpr std::size_t kMost = 16;

  /// Throws std::bad_alloc.
  LookupGate() { under_way_.reserve(kMost); }

  /// `seeker` is about to look up `host`. False: it is held. Throws std::bad_alloc.
  bool enter(LookupSeeker& seeker, std::string host);
  /// It goes. Does nothing to who is outside.
  void leave(LookupSeeker& seeker) noexcept;
  /// Takes out all that are held for the host of `front`: they get the same answer.
  std::list<LookupSeeker*> take_companions(const LookupSeeker& front) noexcept;

  /// Looks which lookups are over. At the end of each turn in which all that next() named had
  /// theirs.
  void settle() noexcept;
  /// One that may begin, again; null: no more.
  LookupSeeker* next() noexcept;

  /// Neither is anyone held, nor is a lookup under way.
  bool empty() const noexcept { return under_way_.empty() && held_.empty() && free_.empty(); }

 private:
  using Place = LookupSeeker::Place;
  using Line = std::list<LookupSeeker*>;

  void forget_answered() noexcept;
  void answer(const std::string& host) noexcept;
  bool is_asked(const std::string& host) const noexcept;

  std::vector<LookupSeeker*> under_way_;  // called or looking
  Line held_;
  Line free_;
  bool changed_ = false;  // somebody left under_way_ since next() last looked through held_
};

}  // namespace weir::net

#pragma once

namespace weir::net {

/// Keeps SIGPIPE from the calling thread while it lives, as it is kept from the I/O thread: a peer
/// that is gone is an error code. Other signals are delivered as ever. A SIGPIPE of the program's
/// own, sent meanwhile, is lost.
class SigpipeBlocked {
 public:
  SigpipeBlocked() noexcept;
  ~SigpipeBlocked();
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

 private:
  bool ours_ = false;  // it was not blocked before
};

}  // namespace weir::net

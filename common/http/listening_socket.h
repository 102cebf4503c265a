#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace penstock {

// A descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  int fd() const { return fd_; }

 private:
  int fd_;
};

struct ListeningSocket {
  Descriptor socket;    // does not block
  std::string address;  // HOST:PORT, with the port that was bound
  bool loopback = false;
};

// At one of the addresses of HOST:PORT; port 0 picks a free one. INVALID_ARGUMENT, or UNAVAILABLE
// where it cannot be bound, names `field`.
absl::StatusOr<ListeningSocket> ListenOn(const std::string& field, const std::string& address);

}  // namespace penstock

#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace penstock {

// A network between two ends on this machine that can fall silent: both ends' connections stay, and
// nothing passes any more. It knows enough of HTTP/2 without TLS to see a server say GOAWAY.
class TcpProxy {
 public:
  // `to`: HOST:PORT, the host an IPv4 address.
  explicit TcpProxy(const std::string& to);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  // HOST:PORT where it listens.
  const std::string& address() const { return address_; }

  // Nothing is read or written any more, of connections that are open and of those that come, until
  // Resume. That an end closes is not passed on either.
  void FallSilent() { SetSilent(true); }
  void Resume() { SetSilent(false); }

  // Connections taken; those that are over; those that their client left during a silence; those on
  // which the server has said GOAWAY.
  int taken() const { return taken_; }
  int closed() const { return closed_; }
  int left() const { return left_; }
  int goaways() const { return goaways_; }

 private:
  // The frames of HTTP/2 that pass in one direction.
  class Frames {
   public:
    // True once a GOAWAY has begun.
    bool SawGoaway(const char* data, size_t size);

   private:
    std::string header_;
    uint64_t skip_ = 0;  // bytes left of the frame
    bool saw_ = false;
  };
  struct Direction {
    std::string waiting;  // read, and not written yet
    bool ended = false;   // the source has no more
  };
  struct Link {
    int client = -1;
    int server = -1;
    Direction up, down;
    Frames frames;
    bool goaway = false;
    bool left = false;
  };

  void SetSilent(bool silent);
  void Run();
  void CountLeft(const std::vector<pollfd>& polled);
  void Take();
  // False: over.
  bool Pump(Link& link, int from, int to, Direction& direction, bool of_server);

  std::string to_host_;
  int to_port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::string address_;
  std::atomic<bool> silent_{false}, stopping_{false};
  std::atomic<int> taken_{0}, closed_{0}, left_{0}, goaways_{0};
  std::vector<std::unique_ptr<Link>> links_;  // of the thread
  std::thread thread_;
};

}  // namespace penstock

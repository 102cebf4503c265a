#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace penstock {

// A port that was free a moment ago.
int FreePort();

// redis-server or redis-sentinel as a process of the test's own, with a folder of its own; it dies
// with the test.
class RedisServer {
 public:
  struct Options {
    // Also listens on a TCP port, or on a TLS port, that the kernel chose.
    bool tcp = false, tls = false;
    bool sentinel = false;
    std::vector<std::string> arguments;  // of redis-server
    std::string file;                    // sentinel: its configuration
  };

  // Waits until it accepts; a failure of the test, and its log, if it does not.
  explicit RedisServer(Options options);
  RedisServer() : RedisServer(Options()) {}
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  const std::string& socket() const { return socket_; }
  int port() const { return port_; }
  std::string unix_uri() const { return "redis+unix://" + socket_; }

  void Kill();   // SIGKILL, and gone
  void Start();  // again, at the same places, empty
  void Pause();  // SIGSTOP
  void Resume();
  // One command past the store; the text or the integer of the reply, empty for others. An error or
  // a lost connection is a failure of the test, or else the error's text or nothing.
  std::string Command(const std::vector<std::string>& arguments, bool may_fail = false) const;

 private:
  bool Launch();

  const Options options_;
  const TempDir folder_;
  const std::string socket_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace penstock

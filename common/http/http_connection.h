#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/http_message.h"

extern "C" {
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
}

namespace penstock {

// What one client may take.
struct HttpLimits {
  size_t most_head_bytes = 8192;
  absl::Duration head_time = absl::Seconds(10);    // from the connection's start to the head's end
  absl::Duration answer_time = absl::Seconds(10);  // from there until there is an answer
  absl::Duration write_time = absl::Seconds(10);   // from there until it is written
};

// How a request is refused that never reaches a handler; `wanted` says what would be taken.
using HttpRefusal = std::function<HttpResponse(int status, absl::string_view wanted)>;

// One client of an HTTP port: a handshake where there is TLS, one request, one answer, the end.
// Its owner polls the socket and calls Advance. Not thread-safe.
class HttpConnection {
 public:
  struct Hooks {
    // A request has come. Its answer comes through Answer, later and from the owner.
    std::function<void(HttpRequest)> on_request;
    HttpRefusal refuse;
  };

  // Owns the non-blocking socket. `tls` null: plain HTTP.
  HttpConnection(int socket, SSL_CTX* tls, const HttpLimits& limits, absl::Time now, Hooks hooks);
  ~HttpConnection();

  // Goes as far as the socket lets it. False: it is over.
  bool Advance(absl::Time now);
  // The answer to the request; a second one is dropped. False: it is over.
  bool Answer(const HttpResponse& response, absl::Time now);

  int socket() const { return socket_; }
  // What poll is to wait for: POLLIN, POLLOUT, or nothing but the client's end.
  short wanted() const { return wanted_; }
  absl::Time since() const { return since_; }
  absl::Time until() const { return until_; }
  // Nothing was asked for yet: may be ended for the sake of others.
  bool idle() const { return state_ == State::kHandshake || state_ == State::kReading; }

 private:
  enum class State { kHandshake, kReading, kWaiting, kWriting, kLingering };
  enum class Io { kDone, kWait, kFailed };

  struct FreeSsl {
    void operator()(SSL* ssl) const;
  };

  Io Handshake();
  Io Read(absl::Time now);
  Io Write();
  Io Linger();
  void HeadCame(size_t size, absl::Time now);
  void StartWriting(const HttpResponse& response, absl::Time now);
  // From what a call of OpenSSL or of the socket returned.
  Io After(int result, short direction);

  const int socket_;
  const std::unique_ptr<SSL, FreeSsl> ssl_;  // null: plain
  const HttpLimits limits_;
  const Hooks hooks_;
  const absl::Time since_;
  absl::Time until_;
  State state_;
  short wanted_;
  std::string request_;
  bool with_body_ = true;
  // More came than the head: closing at once would take the answer away from who still sends.
  bool more_came_ = false;
  std::string answer_;
  size_t written_ = 0;
};

}  // namespace penstock

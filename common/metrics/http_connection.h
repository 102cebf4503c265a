#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"

extern "C" {
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
}

namespace penstock {

// One client of the metrics port: a handshake where there is TLS, one request, one answer, the end.
// Its owner polls the socket and calls Advance. Not thread-safe.
class HttpConnection {
 public:
  // The answer's body to a GET of /metrics.
  using Render = std::function<std::string()>;

  // Owns the non-blocking socket. `tls` null: plain HTTP.
  HttpConnection(int socket, SSL_CTX* tls, absl::Time until, const Render& render);
  ~HttpConnection();

  // Goes as far as the socket lets it. False: it is over.
  bool Advance();

  int socket() const { return socket_; }
  // What poll is to wait for: POLLIN or POLLOUT.
  short wanted() const { return wanted_; }
  absl::Time until() const { return until_; }

 private:
  enum class State { kHandshake, kReading, kWriting };
  enum class Io { kDone, kWait, kFailed };

  struct FreeSsl {
    void operator()(SSL* ssl) const;
  };

  Io Handshake();
  Io Read();
  Io Write();
  // From what a call of OpenSSL or of the socket returned.
  Io After(int result, short direction);

  const int socket_;
  const std::unique_ptr<SSL, FreeSsl> ssl_;  // null: plain
  const absl::Time until_;
  const Render& render_;
  State state_;
  short wanted_;
  std::string request_;
  std::string answer_;
  size_t written_ = 0;
};

// The answer to a request's head, which ends with an empty line.
std::string HttpAnswer(const std::string& head, const HttpConnection::Render& render);

}  // namespace penstock

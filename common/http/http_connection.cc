#include "common/http/http_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace penstock {
namespace {

// How long a client that still sends is listened to once it was answered.
constexpr absl::Duration kLinger = absl::Seconds(1);
// 64 KiB at a time: whoever sends as fast as it is read would else keep the thread from the others.
constexpr int kLingerReads = 16;

SSL* MakeSsl(SSL_CTX* context, int socket) {
  if (context == nullptr) return nullptr;
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, socket);
  SSL_set_accept_state(ssl);
  // A part of the answer may be written, and the rest lies elsewhere by then.
  SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return ssl;
}

}  // namespace

void HttpConnection::FreeSsl::operator()(SSL* ssl) const { SSL_free(ssl); }

HttpConnection::HttpConnection(int socket, SSL_CTX* tls, const HttpLimits& limits, absl::Time now,
                               Hooks hooks)
    : socket_(socket),
      ssl_(MakeSsl(tls, socket)),
      limits_(limits),
      hooks_(std::move(hooks)),
      since_(now),
      until_(now + limits.head_time),
      state_(ssl_ == nullptr ? State::kReading : State::kHandshake),
      wanted_(POLLIN) {}

HttpConnection::~HttpConnection() { close(socket_); }

bool HttpConnection::Advance(absl::Time now) {
  for (;;) {
    const State before = state_;
    Io io = Io::kFailed;
    switch (state_) {
      case State::kHandshake:
        io = Handshake();
        if (io == Io::kDone) state_ = State::kReading;
        break;
      case State::kReading:
        io = Read(now);
        break;
      case State::kWaiting:
        // Woken though there is nothing to do: the client is gone.
        return false;
      case State::kWriting:
        io = Write();
        if (io == Io::kDone && more_came_) {
          state_ = State::kLingering;
          until_ = std::min(until_, now + kLinger);
        } else if (io == Io::kDone) {
          return false;
        }
        break;
      case State::kLingering:
        io = Linger();
        break;
    }
    if (io == Io::kFailed) return false;
    if (io == Io::kWait || state_ == before || state_ == State::kWaiting) return true;
  }
}

bool HttpConnection::Answer(const HttpResponse& response, absl::Time now) {
  if (state_ != State::kWaiting) return true;
  StartWriting(response, now);
  return Advance(now);
}

HttpConnection::Io HttpConnection::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Io::kDone : After(result, POLLIN);
}

HttpConnection::Io HttpConnection::Read(absl::Time now) {
  char buffer[4096];
  for (;;) {
    ERR_clear_error();
    const int got = ssl_ != nullptr ? SSL_read(ssl_.get(), buffer, sizeof(buffer))
                                    : static_cast<int>(recv(socket_, buffer, sizeof(buffer), 0));
    if (got <= 0) return After(got, POLLIN);
    request_.append(buffer, static_cast<size_t>(got));
    const size_t end = HttpHeadEnd(request_);
    if (std::min(end, request_.size()) > limits_.most_head_bytes) {
      more_came_ = true;
      StartWriting(hooks_.refuse(431, "wanted a shorter request"), now);
      return Io::kDone;
    }
    if (end != std::string::npos) {
      HeadCame(end, now);
      return Io::kDone;
    }
  }
}

void HttpConnection::HeadCame(size_t size, absl::Time now) {
  more_came_ = request_.size() > size;
  auto request = ParseHttpHead(absl::string_view(request_).substr(0, size));
  if (!request.ok()) {
    more_came_ = true;  // a body may be on its way
    return StartWriting(hooks_.refuse(400, request.status().message()), now);
  }
  with_body_ = request->method != "HEAD";
  if (request->method != "GET" && request->method != "HEAD") {
    more_came_ = true;
    HttpResponse refusal = hooks_.refuse(405, "wanted GET");
    refusal.headers = {{"Allow", "GET, HEAD"}};
    return StartWriting(refusal, now);
  }
  state_ = State::kWaiting;
  // Of a client that waits only a broken connection counts, which poll tells unasked: one that
  // merely sends no more may still read.
  wanted_ = 0;
  until_ = now + limits_.answer_time;
  hooks_.on_request(*std::move(request));
}

void HttpConnection::StartWriting(const HttpResponse& response, absl::Time now) {
  answer_ = FormatHttpResponse(response, with_body_);
  state_ = State::kWriting;
  until_ = now + limits_.write_time;
}

HttpConnection::Io HttpConnection::Write() {
  while (written_ < answer_.size()) {
    ERR_clear_error();
    const char* const from = answer_.data() + written_;
    const int left = static_cast<int>(std::min<size_t>(answer_.size() - written_, 1 << 20));
    const int sent = ssl_ != nullptr ? SSL_write(ssl_.get(), from, left)
                                     : static_cast<int>(send(socket_, from, left, MSG_NOSIGNAL));
    if (sent <= 0) return After(sent, POLLOUT);
    written_ += static_cast<size_t>(sent);
  }
  // Says that nothing was cut off; the client's own goodbye is not waited for.
  if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
  shutdown(socket_, SHUT_WR);
  return Io::kDone;
}

HttpConnection::Io HttpConnection::Linger() {
  char buffer[4096];
  wanted_ = POLLIN;
  ssize_t got = 1;
  for (int reads = 0; got > 0; ++reads) {
    if (reads == kLingerReads) return Io::kWait;
    got = recv(socket_, buffer, sizeof(buffer), 0);
  }
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? Io::kWait
                                                                               : Io::kFailed;
}

HttpConnection::Io HttpConnection::After(int result, short direction) {
  if (ssl_ == nullptr) {
    wanted_ = direction;
    const bool again = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    return again ? Io::kWait : Io::kFailed;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wanted_ = POLLIN;
      return Io::kWait;
    case SSL_ERROR_WANT_WRITE:
      wanted_ = POLLOUT;
      return Io::kWait;
    default:
      ERR_clear_error();
      return Io::kFailed;
  }
}

}  // namespace penstock

#include "common/metrics/http_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace penstock {
namespace {

// A scraper's headers are a few hundred bytes.
constexpr size_t kMaxHead = 8192;

std::string Answer(absl::string_view status, absl::string_view body, bool with_body = true) {
  return absl::StrCat("HTTP/1.1 ", status,
                      "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8"
                      "\r\nContent-Length: ",
                      body.size(), "\r\nConnection: close\r\n\r\n", with_body ? body : "");
}

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

std::string HttpAnswer(const std::string& head, const HttpConnection::Render& render) {
  const std::vector<absl::string_view> line =
      absl::StrSplit(absl::string_view(head).substr(0, head.find("\r\n")), ' ');
  if (line.size() != 3 || !absl::StartsWith(line[2], "HTTP/1.")) {
    return Answer("400 Bad Request", "wanted an HTTP/1 request\n");
  }
  const bool with_body = line[0] != "HEAD";
  if (line[0] != "GET" && line[0] != "HEAD") {
    return Answer("405 Method Not Allowed", "wanted GET\n");
  }
  const absl::string_view path = line[1].substr(0, line[1].find('?'));
  if (path != "/metrics") return Answer("404 Not Found", "wanted /metrics\n", with_body);
  return Answer("200 OK", render(), with_body);
}

void HttpConnection::FreeSsl::operator()(SSL* ssl) const { SSL_free(ssl); }

HttpConnection::HttpConnection(int socket, SSL_CTX* tls, absl::Time until, const Render& render)
    : socket_(socket),
      ssl_(MakeSsl(tls, socket)),
      until_(until),
      render_(render),
      state_(ssl_ == nullptr ? State::kReading : State::kHandshake),
      wanted_(POLLIN) {}

HttpConnection::~HttpConnection() { close(socket_); }

bool HttpConnection::Advance() {
  for (;;) {
    Io io = Io::kFailed;
    switch (state_) {
      case State::kHandshake:
        io = Handshake();
        break;
      case State::kReading:
        io = Read();
        break;
      case State::kWriting:
        io = Write();
        break;
    }
    if (io == Io::kWait) return true;
    if (io == Io::kFailed || state_ == State::kWriting) return false;
    state_ = state_ == State::kHandshake ? State::kReading : State::kWriting;
  }
}

HttpConnection::Io HttpConnection::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Io::kDone : After(result, POLLIN);
}

HttpConnection::Io HttpConnection::Read() {
  char buffer[4096];
  for (;;) {
    ERR_clear_error();
    const int got = ssl_ != nullptr ? SSL_read(ssl_.get(), buffer, sizeof(buffer))
                                    : static_cast<int>(recv(socket_, buffer, sizeof(buffer), 0));
    if (got <= 0) return After(got, POLLIN);
    request_.append(buffer, static_cast<size_t>(got));
    if (const size_t end = request_.find("\r\n\r\n"); end != std::string::npos) {
      answer_ = HttpAnswer(request_.substr(0, end + 4), render_);
      return Io::kDone;
    }
    if (request_.size() > kMaxHead) {
      answer_ = Answer("431 Request Header Fields Too Large", "wanted a shorter request\n");
      return Io::kDone;
    }
  }
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

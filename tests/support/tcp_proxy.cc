#include "tests/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gtest/gtest.h"

namespace penstock {
namespace {

constexpr size_t kFrameHeader = 9;
constexpr char kGoaway = 7;

sockaddr_in Loopback(const std::string& host, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  EXPECT_EQ(inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1) << host;
  return address;
}

void MakeReady(int socket) {
  fcntl(socket, F_SETFL, O_NONBLOCK);
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

bool TcpProxy::Frames::SawGoaway(const char* data, size_t size) {
  while (size > 0) {
    if (skip_ > 0) {
      const size_t part = std::min<uint64_t>(skip_, size);
      skip_ -= part;
      data += part;
      size -= part;
      continue;
    }
    const size_t part = std::min(kFrameHeader - header_.size(), size);
    header_.append(data, part);
    data += part;
    size -= part;
    if (header_.size() < kFrameHeader) break;
    for (int i = 0; i < 3; ++i) skip_ = skip_ << 8 | static_cast<uint8_t>(header_[i]);
    saw_ = saw_ || header_[3] == kGoaway;
    header_.clear();
  }
  return saw_;
}

TcpProxy::TcpProxy(const std::string& to)
    : to_host_(to.substr(0, to.rfind(':'))), to_port_(std::stoi(to.substr(to.rfind(':') + 1))) {
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own = Loopback("127.0.0.1", 0);
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0);
  EXPECT_EQ(listen(listener_, 64), 0);
  socklen_t size = sizeof(own);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&own), &size);
  address_ = "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  MakeReady(listener_);
  EXPECT_EQ(pipe(wake_), 0);
  for (const int end : wake_) fcntl(end, F_SETFL, O_NONBLOCK);
  thread_ = std::thread([this] { Run(); });
}

TcpProxy::~TcpProxy() {
  stopping_ = true;
  EXPECT_EQ(write(wake_[1], "x", 1), 1);
  thread_.join();
  for (const auto& link : links_) {
    close(link->client);
    close(link->server);
  }
  close(listener_);
  for (const int end : wake_) close(end);
}

void TcpProxy::SetSilent(bool silent) {
  silent_ = silent;
  EXPECT_EQ(write(wake_[1], "x", 1), 1);
}

void TcpProxy::Run() {
  while (!stopping_) {
    std::vector<pollfd> polled = {{wake_[0], POLLIN, 0}};
    const bool silent = silent_;
    if (silent) {
      for (const auto& link : links_) {
        if (!link->left) polled.push_back({link->client, POLLRDHUP, 0});
      }
    } else {
      polled.push_back({listener_, POLLIN, 0});
      for (const auto& link : links_) {
        // A direction is read once what was read before is written.
        const auto wants = [](const Direction& in, const Direction& out) {
          const bool reads = in.waiting.empty() && !in.ended;
          return static_cast<short>((reads ? POLLIN : 0) | (out.waiting.empty() ? 0 : POLLOUT));
        };
        polled.push_back({link->client, wants(link->up, link->down), 0});
        polled.push_back({link->server, wants(link->down, link->up), 0});
      }
    }
    poll(polled.data(), polled.size(), -1);
    char drained[16];
    while (read(wake_[0], drained, sizeof(drained)) > 0) {
    }
    if (silent) CountLeft(polled);
    if (silent_ || stopping_) continue;
    for (auto it = links_.begin(); it != links_.end();) {
      Link& link = **it;
      if (Pump(link, link.client, link.server, link.up, false) &&
          Pump(link, link.server, link.client, link.down, true)) {
        ++it;
        continue;
      }
      close(link.client);
      close(link.server);
      ++closed_;
      it = links_.erase(it);
    }
    Take();
  }
}

void TcpProxy::CountLeft(const std::vector<pollfd>& polled) {
  for (const auto& link : links_) {
    for (const pollfd& each : polled) {
      if (link->left || each.fd != link->client || each.revents == 0) continue;
      link->left = true;
      ++left_;
    }
  }
}

void TcpProxy::Take() {
  for (;;) {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    ++taken_;
    auto link = std::make_unique<Link>();
    link->client = client;
    link->server = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in to = Loopback(to_host_, to_port_);
    if (connect(link->server, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
      close(link->client);
      close(link->server);
      ++closed_;
      continue;
    }
    MakeReady(link->client);
    MakeReady(link->server);
    links_.push_back(std::move(link));
  }
}

bool TcpProxy::Pump(Link& link, int from, int to, Direction& direction, bool of_server) {
  for (;;) {
    if (direction.waiting.empty() && !direction.ended) {
      char buffer[65536];
      const ssize_t got = recv(from, buffer, sizeof(buffer), 0);
      if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
      if (got == 0) direction.ended = true;
      direction.waiting.assign(buffer, static_cast<size_t>(got));
      if (of_server && !link.goaway && link.frames.SawGoaway(buffer, static_cast<size_t>(got))) {
        link.goaway = true;
        ++goaways_;
      }
    }
    if (direction.waiting.empty()) return !direction.ended;
    const ssize_t sent = send(to, direction.waiting.data(), direction.waiting.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    direction.waiting.erase(0, static_cast<size_t>(sent));
  }
}

}  // namespace penstock

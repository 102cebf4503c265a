#include "common/metrics/metrics_server.h"

#include <netdb.h>
#include <poll.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/metrics/http_connection.h"
#include "common/metrics/process_metrics.h"
#include "common/metrics/tls_context.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

// Scrapers come one at a time; more than these wait in the listening socket.
constexpr size_t kMaxConnections = 32;
// From a connection's start to its end.
constexpr absl::Duration kMaxLife = absl::Seconds(10);
// Without a descriptor to be had, whoever waits to be accepted would wake the thread for ever.
constexpr absl::Duration kStarvedPause = absl::Milliseconds(200);

struct Descriptor {
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  int fd = -1;
};

// A listening socket at one of the addresses of HOST:PORT, and the port that it got.
absl::Status Listen(const std::string& address, Descriptor& listener, int& port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.metrics is \"", address, "\", want HOST:PORT or \"off\""));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);  // an IPv6 address
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                    address.c_str() + colon + 1, &hints, &found);
      error != 0) {
    return absl::UnavailableError(
        absl::StrCat("server.metrics: cannot listen on ", address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  std::string why;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Descriptor opened;
    opened.fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(opened.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_storage bound{};
    socklen_t length = sizeof(bound);
    if (opened.fd < 0 || bind(opened.fd, at->ai_addr, at->ai_addrlen) != 0 ||
        listen(opened.fd, SOMAXCONN) != 0 ||
        getsockname(opened.fd, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
      why = std::strerror(errno);
      continue;
    }
    char service[16] = "";
    getnameinfo(reinterpret_cast<sockaddr*>(&bound), length, nullptr, 0, service, sizeof(service),
                NI_NUMERICSERV);
    port = std::atoi(service);
    listener.fd = std::exchange(opened.fd, -1);
    return absl::OkStatus();
  }
  return absl::UnavailableError(
      absl::StrCat("server.metrics: cannot listen on ", address, ": ", why));
}

}  // namespace

struct MetricsServer::State {
  ~State() {
    if (!thread.joinable()) return;
    const uint64_t one = 1;
    while (write(stop.fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    thread.join();
  }

  std::string Render() const {
    std::vector<prometheus::MetricFamily> families = registry->Collect();
    for (prometheus::MetricFamily& family : process.Collect())
      families.push_back(std::move(family));
    return prometheus::TextSerializer().Serialize(families);
  }

  void Run() {
    const HttpConnection::Render render = [this] { return Render(); };
    std::vector<std::unique_ptr<HttpConnection>> connections;
    bool starved = false;
    for (;;) {
      const absl::Time now = absl::Now();
      absl::Duration wait = starved ? kStarvedPause : absl::InfiniteDuration();
      // A full house is not asked for more: poll skips what is negative.
      const bool accepting = connections.size() < kMaxConnections && !starved;
      std::vector<pollfd> polled = {{stop.fd, POLLIN, 0},
                                    {accepting ? listener.fd : -1, POLLIN, 0}};
      for (const auto& connection : connections) {
        polled.push_back({connection->socket(), connection->wanted(), 0});
        wait = std::min(wait, connection->until() - now);
      }
      const int timeout =
          wait == absl::InfiniteDuration()
              ? -1
              : static_cast<int>(absl::ToInt64Milliseconds(std::max(wait, absl::ZeroDuration()))) +
                    1;
      if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) return;
      if (polled[0].revents != 0) return;
      const absl::Time woken = absl::Now();
      for (size_t i = connections.size(); i-- > 0;) {
        const bool moved = polled[i + 2].revents != 0;
        if (woken < connections[i]->until() && (!moved || connections[i]->Advance())) continue;
        connections.erase(connections.begin() + static_cast<ptrdiff_t>(i));
      }
      starved = false;
      if (polled[1].revents != 0) {
        const int socket = accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (socket >= 0) {
          connections.push_back(std::make_unique<HttpConnection>(
              socket, tls == nullptr ? nullptr : tls->Current(), woken + kMaxLife, render));
        } else {
          starved = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
        }
      }
    }
  }

  std::string address = "-";
  std::shared_ptr<prometheus::Registry> registry;
  const ProcessMetrics process{};
  std::unique_ptr<TlsContext> tls;  // null: plain HTTP
  Descriptor listener;
  Descriptor stop;
  std::thread thread;
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& address, std::shared_ptr<prometheus::Registry> registry,
    const config::v1::Tls& tls) {
  auto state = std::make_unique<State>();
  if (address == "off") return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
  if (!tls.certificate_file().empty()) {
    auto context = TlsContext::Create(tls);
    if (!context.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("server.metrics_tls.", context.status().message()));
    }
    state->tls = *std::move(context);
  } else if (!tls.key_file().empty() || !tls.client_ca_file().empty()) {
    return absl::InvalidArgumentError("server.metrics_tls.certificate_file: is empty");
  }
  int port = 0;
  PENSTOCK_RETURN_IF_ERROR(Listen(address, state->listener, port));
  state->address = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
  state->registry = std::move(registry);
  state->stop.fd = eventfd(0, EFD_CLOEXEC);
  state->thread = std::thread([running = state.get()] { running->Run(); });
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

const std::string& MetricsServer::address() const { return state_->address; }

}  // namespace penstock

#include "common/store/redis/redis_transport.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

constexpr size_t kReadAtOnce = 64 * 1024;
// Callbacks come from the loop, never from inside the call that caused them.
constexpr int kBufferOptions = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// The first error of OpenSSL's queue, which it empties.
std::string SslError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  char text[256];
  ERR_error_string_n(code, text, sizeof(text));
  return text;
}

bool IsIpAddress(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

absl::Status Wrong(absl::string_view what, const std::string& file) {
  return absl::UnavailableError(absl::StrCat("store: ", what, " '", file, "': ", SslError()));
}

// Files are read for every connection, so that what was replaced on disk takes effect.
absl::StatusOr<std::unique_ptr<SSL, FreeSsl>> MakeSsl(const RedisTls& tls,
                                                      const std::string& host) {
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return Wrong("TLS", "");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (tls.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1) return Wrong("authorities", "system");
  } else if (SSL_CTX_load_verify_locations(context.get(), tls.ca_file.c_str(), nullptr) != 1) {
    return Wrong("ca", tls.ca_file);
  }
  if (!tls.certificate_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), tls.certificate_file.c_str()) != 1) {
      return Wrong("cert", tls.certificate_file);
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      return Wrong("key", tls.key_file);
    }
    if (SSL_CTX_check_private_key(context.get()) != 1) return Wrong("key", tls.key_file);
  }
  std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(context.get()));  // holds the context
  if (ssl == nullptr) return Wrong("TLS", "");
  const std::string& name = tls.server_name.empty() ? host : tls.server_name;
  if (IsIpAddress(name)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str()) != 1) {
      return Wrong("server_name", name);
    }
  } else {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl.get(), name.c_str()) != 1 ||
        SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1) {
      return Wrong("server_name", name);
    }
  }
  return ssl;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RedisTransport>> RedisTransport::Connect(EventLoop& loop,
                                                                        const RedisAddress& address,
                                                                        const RedisHost& host,
                                                                        Events events) {
  const bool is_unix = !address.unix_socket.empty();
  const std::string peer = is_unix ? address.unix_socket : host.text();
  std::unique_ptr<RedisTransport> transport(new RedisTransport(peer, std::move(events)));
  transport->tls_ = address.tls;
  if (address.tls) {
    PENSTOCK_ASSIGN_OR_RETURN(auto ssl, MakeSsl(address.tls_files, host.host));
    transport->buffer_ = bufferevent_openssl_socket_new(loop.base(), -1, ssl.get(),
                                                        BUFFEREVENT_SSL_CONNECTING, kBufferOptions);
    if (transport->buffer_ != nullptr) {
      ssl.release();  // freed with the buffer
      // A server that is killed says no goodbye; that is a lost connection either way.
      bufferevent_openssl_set_allow_dirty_shutdown(transport->buffer_, 1);
    }
  } else {
    transport->buffer_ = bufferevent_socket_new(loop.base(), -1, kBufferOptions);
  }
  const absl::Status failed =
      absl::UnavailableError(absl::StrCat("store: ", peer, ": cannot begin to connect"));
  if (transport->buffer_ == nullptr) return failed;
  bufferevent_setcb(transport->buffer_, &OnRead, nullptr, &OnEvent, transport.get());
  bufferevent_set_max_single_read(transport->buffer_, kReadAtOnce);
  bufferevent_enable(transport->buffer_, EV_READ | EV_WRITE);
  if (is_unix) {
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    std::memcpy(path.sun_path, address.unix_socket.data(),
                std::min(address.unix_socket.size(), sizeof(path.sun_path) - 1));
    if (bufferevent_socket_connect(transport->buffer_, reinterpret_cast<sockaddr*>(&path),
                                   sizeof(path)) != 0) {
      return failed;
    }
    return transport;
  }
  if (!IsIpAddress(host.host)) {
    // Names resolve on the loop, by the files as they are at this attempt.
    transport->dns_ = evdns_base_new(loop.base(), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (transport->dns_ == nullptr) return failed;
    // Without the file: its defaults, and /etc/hosts.
    evdns_base_resolv_conf_parse(transport->dns_, DNS_OPTIONS_ALL, "/etc/resolv.conf");
  }
  if (bufferevent_socket_connect_hostname(transport->buffer_, transport->dns_, AF_UNSPEC,
                                          host.host.c_str(), host.port) != 0) {
    return failed;
  }
  return transport;
}

RedisTransport::~RedisTransport() {
  if (buffer_ != nullptr) {
    // A read or an event that libevent has queued finds nobody.
    bufferevent_setcb(buffer_, nullptr, nullptr, nullptr, nullptr);
    bufferevent_free(buffer_);
  }
  if (dns_ != nullptr) evdns_base_free(dns_, /*fail_requests=*/1);
}

void RedisTransport::Write(absl::string_view bytes) {
  bufferevent_write(buffer_, bytes.data(), bytes.size());
}

void RedisTransport::OnRead(bufferevent* buffer, void* self) {
  auto* const transport = static_cast<RedisTransport*>(self);
  evbuffer* const input = bufferevent_get_input(buffer);
  const size_t size = evbuffer_get_length(input);
  if (size == 0) return;
  std::string bytes(size, '\0');
  evbuffer_remove(input, bytes.data(), size);
  const std::shared_ptr<Events> events = transport->events_;
  events->on_bytes(bytes);
}

void RedisTransport::OnEvent(bufferevent* buffer, short what, void* self) {
  auto* const transport = static_cast<RedisTransport*>(self);
  const std::shared_ptr<Events> events = transport->events_;
  if ((what & BEV_EVENT_CONNECTED) != 0) {
    const evutil_socket_t fd = bufferevent_getfd(buffer);
    const int on = 1;
    // No unix socket has it; nothing depends on it.
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    events->on_connected();
    return;
  }
  events->on_lost(transport->ErrorOf(what));
}

absl::Status RedisTransport::ErrorOf(short what) {
  std::string reason;
  if (const int dns = bufferevent_socket_get_dns_error(buffer_); dns != 0) {
    reason = evutil_gai_strerror(dns);
  } else if (tls_ && SSL_get_verify_result(bufferevent_openssl_get_ssl(buffer_)) != X509_V_OK) {
    reason =
        X509_verify_cert_error_string(SSL_get_verify_result(bufferevent_openssl_get_ssl(buffer_)));
  } else if (const unsigned long code = tls_ ? bufferevent_get_openssl_error(buffer_) : 0;
             code != 0) {
    char text[256];
    ERR_error_string_n(code, text, sizeof(text));
    reason = text;
  } else if ((what & BEV_EVENT_EOF) != 0) {
    reason = "the server closed the connection";
  } else {
    reason = evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR());
  }
  return absl::UnavailableError(absl::StrCat("store: ", peer_, ": ", reason));
}

}  // namespace penstock

#include "common/store/redis/redis_address.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

constexpr uint16_t kRedisPort = 6379;
constexpr uint16_t kSentinelPort = 26379;
constexpr size_t kMostHosts = 16;

absl::Status Wrong(absl::string_view uri, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("store '", WithoutCredentials(uri), "': ", what));
}

std::optional<std::string> Decoded(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || !absl::ascii_isxdigit(text[i + 1]) ||
        !absl::ascii_isxdigit(text[i + 2])) {
      return std::nullopt;
    }
    int byte = 0;
    if (!absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) return std::nullopt;
    decoded.push_back(static_cast<char>(byte));
    i += 2;
  }
  if (decoded.find('\0') != std::string::npos) return std::nullopt;
  return decoded;
}

absl::StatusOr<RedisHost> ParseHost(absl::string_view uri, absl::string_view text,
                                    uint16_t default_port) {
  RedisHost host{.host = "", .port = default_port};
  absl::string_view port;
  bool has_port = false;
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return Wrong(uri, "a host lacks its ]");
    host.host = std::string(text.substr(1, end - 1));
    text = text.substr(end + 1);
    has_port = absl::ConsumePrefix(&text, ":");
    if (!has_port && !text.empty()) return Wrong(uri, "wanted :port after ]");
    port = text;
  } else {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(text, absl::MaxSplits(':', 1));
    has_port = absl::StrContains(text, ':');
    host.host = std::string(parts.first);
    port = parts.second;
  }
  if (host.host.empty()) return Wrong(uri, "a host is empty");
  uint32_t number = 0;
  if (has_port) {
    if (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
      return Wrong(uri, absl::StrCat("port is '", port, "', wanted 1 to 65535"));
    }
    host.port = static_cast<uint16_t>(number);
  }
  return host;
}

absl::Status ParseDb(absl::string_view uri, absl::string_view text, RedisAddress& address) {
  if (absl::SimpleAtoi(text, &address.db) && address.db >= 0 && address.db < 65536) {
    return absl::OkStatus();
  }
  return Wrong(uri, absl::StrCat("database is '", text, "', wanted a number from 0"));
}

absl::Status ParseOption(absl::string_view uri, absl::string_view name, const std::string& value,
                         RedisAddress& address) {
  const std::pair<absl::string_view, std::string*> texts[] = {
      {"prefix", &address.prefix},
      {"password_file", &address.credentials.password_file},
  };
  const std::pair<absl::string_view, std::string*> tls_texts[] = {
      {"ca", &address.tls_files.ca_file},
      {"cert", &address.tls_files.certificate_file},
      {"key", &address.tls_files.key_file},
      {"server_name", &address.tls_files.server_name},
  };
  const std::pair<absl::string_view, std::string*> sentinel_texts[] = {
      {"sentinel_user", &address.sentinel_credentials.user},
      {"sentinel_password_file", &address.sentinel_credentials.password_file},
  };
  const std::pair<absl::string_view, absl::Duration*> durations[] = {
      {"connect_timeout", &address.connect_timeout},
      {"stall_timeout", &address.stall_timeout},
      {"longest_backoff", &address.longest_backoff},
  };
  const std::pair<absl::string_view, int64_t*> numbers[] = {
      {"max_in_flight", &address.max_in_flight},
      {"max_value_bytes", &address.max_value_bytes},
  };
  for (const auto& [known, to] : texts) {
    if (name == known) return *to = value, absl::OkStatus();
  }
  for (const auto& [known, to] : tls_texts) {
    if (name != known) continue;
    if (!address.tls) return Wrong(uri, absl::StrCat(name, " is for rediss:// alone"));
    return *to = value, absl::OkStatus();
  }
  for (const auto& [known, to] : sentinel_texts) {
    if (name != known) continue;
    if (address.master_name.empty()) {
      return Wrong(uri, absl::StrCat(name, " is for redis+sentinel:// alone"));
    }
    return *to = value, absl::OkStatus();
  }
  for (const auto& [known, to] : durations) {
    if (name != known) continue;
    if (absl::ParseDuration(value, to) && *to >= absl::Milliseconds(10) && *to <= absl::Hours(1)) {
      return absl::OkStatus();
    }
    return Wrong(uri, absl::StrCat(name, " is '", value, "', wanted 10ms to 1h"));
  }
  for (const auto& [known, to] : numbers) {
    if (name != known) continue;
    if (absl::SimpleAtoi(value, to) && *to >= 1 && *to <= (int64_t{1} << 30)) {
      return absl::OkStatus();
    }
    return Wrong(uri, absl::StrCat(name, " is '", value, "', wanted 1 to 2^30"));
  }
  if (name == "db") {
    if (address.unix_socket.empty()) return Wrong(uri, "db is for redis+unix:// alone");
    return ParseDb(uri, value, address);
  }
  return Wrong(uri, absl::StrCat("option '", name, "' is not known"));
}

absl::Status ParseUser(absl::string_view uri, absl::string_view text, RedisAddress& address) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  const std::optional<std::string> user = Decoded(parts.first);
  const std::optional<std::string> password = Decoded(parts.second);
  if (!user.has_value() || !password.has_value()) {
    return Wrong(uri, "user or password has a % without two hexadecimal digits");
  }
  address.credentials.user = *user;
  address.credentials.password = *password;
  return absl::OkStatus();
}

// What stands between :// and ?, the user apart.
absl::Status ParsePlace(absl::string_view uri, absl::string_view place, bool unix_socket,
                        bool sentinel, RedisAddress& address) {
  if (unix_socket) {
    const std::optional<std::string> path = Decoded(place);
    if (!path.has_value() || !absl::StartsWith(*path, "/")) {
      return Wrong(uri, "wanted the absolute path of a socket");
    }
    // sun_path, its end included.
    if (path->size() > 107) return Wrong(uri, "the socket's path is longer than 107 bytes");
    address.unix_socket = *path;
    return absl::OkStatus();
  }
  std::vector<absl::string_view> path = absl::StrSplit(place, '/');
  const std::vector<absl::string_view> hosts = absl::StrSplit(path[0], ',');
  if (hosts.size() > (sentinel ? kMostHosts : 1)) {
    return Wrong(uri,
                 absl::StrCat(hosts.size(), " hosts, wanted at most ", sentinel ? kMostHosts : 1));
  }
  for (const absl::string_view host : hosts) {
    PENSTOCK_ASSIGN_OR_RETURN(RedisHost parsed,
                              ParseHost(uri, host, sentinel ? kSentinelPort : kRedisPort));
    address.hosts.push_back(std::move(parsed));
  }
  path.erase(path.begin());
  if (sentinel) {
    const std::optional<std::string> name = path.empty() ? std::string() : Decoded(path.front());
    if (!name.has_value() || name->empty()) {
      return Wrong(uri, "wanted /master_name after the hosts");
    }
    address.master_name = *name;
    path.erase(path.begin());
  }
  if (path.size() > 1) return Wrong(uri, "wanted no more than /database");
  if (path.empty() || path.front().empty()) return absl::OkStatus();
  return ParseDb(uri, path.front(), address);
}

}  // namespace

std::string RedisHost::text() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

std::string RedisAddress::text() const {
  if (!unix_socket.empty()) return absl::StrCat("redis+unix://", unix_socket);
  const std::string where = absl::StrJoin(hosts, ",", [](std::string* out, const RedisHost& host) {
    absl::StrAppend(out, host.text());
  });
  return absl::StrCat(tls ? "rediss" : "redis", master_name.empty() ? "://" : "+sentinel://", where,
                      master_name.empty() ? "" : "/", master_name);
}

std::string WithoutCredentials(absl::string_view uri) {
  const size_t scheme = uri.find("://");
  // The last @ of all: a password that was not encoded may hold others, and slashes and ?.
  const size_t at = uri.rfind('@');
  if (scheme == absl::string_view::npos || at == absl::string_view::npos || at < scheme) {
    return std::string(uri);
  }
  return absl::StrCat(uri.substr(0, scheme + 3), "***", uri.substr(at));
}

absl::StatusOr<RedisAddress> ParseRedisAddress(absl::string_view uri) {
  RedisAddress address;
  const std::pair<absl::string_view, absl::string_view> scheme_and_rest =
      absl::StrSplit(uri, absl::MaxSplits("://", 1));
  const absl::string_view scheme = scheme_and_rest.first;
  address.tls = scheme == "rediss" || scheme == "rediss+sentinel";
  const bool sentinel = scheme == "redis+sentinel" || scheme == "rediss+sentinel";
  const bool unix_socket = scheme == "redis+unix";
  if (!absl::StrContains(uri, "://") ||
      !(address.tls || sentinel || unix_socket || scheme == "redis")) {
    return Wrong(uri,
                 "is not supported, wanted memory://, redis://, redis+unix://, rediss://, "
                 "redis+sentinel:// or rediss+sentinel://");
  }
  const std::pair<absl::string_view, absl::string_view> place_and_options =
      absl::StrSplit(scheme_and_rest.second, absl::MaxSplits('?', 1));
  absl::string_view place = place_and_options.first;
  if (const size_t at = place.rfind('@'); at != absl::string_view::npos) {
    PENSTOCK_RETURN_IF_ERROR(ParseUser(uri, place.substr(0, at), address));
    place = place.substr(at + 1);
  } else if (absl::StrContains(place_and_options.second, '@')) {
    // What stands before it is then no place, and must not be quoted as a wrong one.
    return Wrong(uri, "wanted ? before an @ written as %3F, and @ in an option as %40");
  }
  PENSTOCK_RETURN_IF_ERROR(ParsePlace(uri, place, unix_socket, sentinel, address));
  for (const absl::string_view option :
       absl::StrSplit(place_and_options.second, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> name_and_value =
        absl::StrSplit(option, absl::MaxSplits('=', 1));
    // Or it may be the rest of a password that was not encoded.
    if (name_and_value.first.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") !=
        absl::string_view::npos) {
      return Wrong(uri, "wanted option=value after ?, and ? in a password written as %3F");
    }
    const std::optional<std::string> value = Decoded(name_and_value.second);
    if (!value.has_value()) {
      return Wrong(uri, absl::StrCat("option '", name_and_value.first,
                                     "' has a % without two hexadecimal digits"));
    }
    PENSTOCK_RETURN_IF_ERROR(ParseOption(uri, name_and_value.first, *value, address));
  }
  if (!address.credentials.password.empty() && !address.credentials.password_file.empty()) {
    return Wrong(uri, "has a password and a password_file, wanted one of them");
  }
  if (address.tls_files.certificate_file.empty() != address.tls_files.key_file.empty()) {
    return Wrong(uri, "wanted cert and key together");
  }
  return address;
}

}  // namespace penstock

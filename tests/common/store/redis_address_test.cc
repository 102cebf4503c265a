#include "common/store/redis/redis_address.h"

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

RedisAddress Parsed(absl::string_view uri) {
  const absl::StatusOr<RedisAddress> address = ParseRedisAddress(uri);
  EXPECT_THAT(address, IsOk());
  return address.ok() ? *address : RedisAddress();
}

std::string ErrorOf(absl::string_view uri) {
  const absl::StatusOr<RedisAddress> address = ParseRedisAddress(uri);
  EXPECT_THAT(address, StatusIs(absl::StatusCode::kInvalidArgument));
  return std::string(address.status().message());
}

TEST(RedisAddressTest, AServer) {
  const RedisAddress address = Parsed("redis://cache.example/3?prefix=p:");
  EXPECT_THAT(address.hosts, ElementsAre(RedisHost{"cache.example", 6379}));
  EXPECT_EQ(address.db, 3);
  EXPECT_EQ(address.prefix, "p:");
  EXPECT_FALSE(address.tls);
  EXPECT_EQ(address.text(), "redis://cache.example:6379");
}

TEST(RedisAddressTest, UserAndPassword) {
  const RedisAddress both = Parsed("redis://me:p%40ss%3Aword@host:7000");
  EXPECT_EQ(both.credentials, (RedisCredentials{"me", "p@ss:word", ""}));
  EXPECT_THAT(both.hosts, ElementsAre(RedisHost{"host", 7000}));
  EXPECT_EQ(Parsed("redis://:word@host").credentials, (RedisCredentials{"", "word", ""}));
  EXPECT_EQ(Parsed("redis://me@host?password_file=/run/secret").credentials,
            (RedisCredentials{"me", "", "/run/secret"}));
}

TEST(RedisAddressTest, AnIpv6Address) {
  const RedisAddress address = Parsed("redis://[::1]:7000/1");
  EXPECT_THAT(address.hosts, ElementsAre(RedisHost{"::1", 7000}));
  EXPECT_EQ(address.text(), "redis://[::1]:7000");
  EXPECT_THAT(Parsed("redis://[fe80::1]").hosts, ElementsAre(RedisHost{"fe80::1", 6379}));
}

TEST(RedisAddressTest, AUnixSocket) {
  const RedisAddress address = Parsed("redis+unix:///run/a%20b.sock?db=2");
  EXPECT_EQ(address.unix_socket, "/run/a b.sock");
  EXPECT_EQ(address.db, 2);
}

TEST(RedisAddressTest, Tls) {
  const RedisAddress address =
      Parsed("rediss://host?ca=/ca.pem&cert=/c.pem&key=/k.pem&server_name=redis.example");
  EXPECT_TRUE(address.tls);
  EXPECT_EQ(address.tls_files.ca_file, "/ca.pem");
  EXPECT_EQ(address.tls_files.certificate_file, "/c.pem");
  EXPECT_EQ(address.tls_files.key_file, "/k.pem");
  EXPECT_EQ(address.tls_files.server_name, "redis.example");
}

TEST(RedisAddressTest, Sentinels) {
  const RedisAddress address = Parsed(
      "rediss+sentinel://u:p@one,two:7000/mymaster/4?sentinel_user=s&sentinel_password_file=/s");
  EXPECT_THAT(address.hosts, ElementsAre(RedisHost{"one", 26379}, RedisHost{"two", 7000}));
  EXPECT_EQ(address.master_name, "mymaster");
  EXPECT_EQ(address.db, 4);
  EXPECT_TRUE(address.tls);
  EXPECT_EQ(address.sentinel_credentials, (RedisCredentials{"s", "", "/s"}));
  EXPECT_EQ(Parsed("redis+sentinel://one/mymaster").db, 0);
}

TEST(RedisAddressTest, Limits) {
  const RedisAddress address = Parsed(
      "redis://h?connect_timeout=1s&stall_timeout=250ms&longest_backoff=10s&max_in_flight=7&"
      "max_value_bytes=1000");
  EXPECT_EQ(address.connect_timeout, absl::Seconds(1));
  EXPECT_EQ(address.stall_timeout, absl::Milliseconds(250));
  EXPECT_EQ(address.longest_backoff, absl::Seconds(10));
  EXPECT_EQ(address.max_in_flight, 7);
  EXPECT_EQ(address.max_value_bytes, 1000);
}

TEST(RedisAddressTest, ErrorsSayWhatIsWrong) {
  EXPECT_THAT(ErrorOf("redis:host"), HasSubstr("wanted memory://, redis://"));
  EXPECT_THAT(ErrorOf("redis://"), HasSubstr("a host is empty"));
  EXPECT_THAT(ErrorOf("redis://one,two"), HasSubstr("2 hosts, wanted at most 1"));
  EXPECT_THAT(ErrorOf("redis://host:0"), HasSubstr("port is '0'"));
  EXPECT_THAT(ErrorOf("redis://host:65536"), HasSubstr("port is '65536'"));
  EXPECT_THAT(ErrorOf("redis://[::1"), HasSubstr("lacks its ]"));
  EXPECT_THAT(ErrorOf("redis://host/x"), HasSubstr("database is 'x'"));
  EXPECT_THAT(ErrorOf("redis://host/1/2"), HasSubstr("no more than /database"));
  EXPECT_THAT(ErrorOf("redis://host?colour=red"), HasSubstr("option 'colour' is not known"));
  EXPECT_THAT(ErrorOf("redis://host?ca=/ca.pem"), HasSubstr("ca is for rediss:// alone"));
  EXPECT_THAT(ErrorOf("redis://host?sentinel_user=u"), HasSubstr("redis+sentinel:// alone"));
  EXPECT_THAT(ErrorOf("redis://host?db=1"), HasSubstr("db is for redis+unix:// alone"));
  EXPECT_THAT(ErrorOf("redis://host?stall_timeout=1"), HasSubstr("wanted 10ms to 1h"));
  EXPECT_THAT(ErrorOf("redis://host?max_in_flight=0"), HasSubstr("wanted 1 to 2^30"));
  EXPECT_THAT(ErrorOf("redis://host?prefix=%4"), HasSubstr("two hexadecimal digits"));
  EXPECT_THAT(ErrorOf("rediss://host?cert=/c"), HasSubstr("cert and key together"));
  EXPECT_THAT(ErrorOf("redis+unix://relative"), HasSubstr("absolute path"));
  EXPECT_THAT(ErrorOf("redis+unix:///" + std::string(107, 'x')), HasSubstr("107 bytes"));
  EXPECT_THAT(ErrorOf("redis+sentinel://one"), HasSubstr("/master_name"));
  EXPECT_THAT(ErrorOf("redis+sentinel://one//0"), HasSubstr("/master_name"));
}

TEST(RedisAddressTest, ErrorsTellNoPassword) {
  EXPECT_THAT(ErrorOf("redis://me:secret@host:0"),
              AllOf(HasSubstr("redis://***@host:0"), Not(HasSubstr("secret"))));
  EXPECT_THAT(ErrorOf("redis://me:sec@ret@host:0"), Not(HasSubstr("sec@ret")));
  EXPECT_THAT(ErrorOf("redis://me:%zzsecret@host"), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf("redis://me:secret@host?password_file=/f"), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf("redis://me:se/cret@host:0"), Not(HasSubstr("cret")));
  // Characters that should have been written as %3F end the address where nobody meant it.
  EXPECT_THAT(ErrorOf("redis://me:6379?secret@host"), Not(HasSubstr("secret")));
  EXPECT_THAT(ErrorOf("redis://me:sec?ret@host"), Not(HasSubstr("sec")));
  EXPECT_THAT(ErrorOf("redis://me:1/sec?x@host"), Not(HasSubstr("sec")));
}

}  // namespace
}  // namespace penstock

#include "gateway/page/page_server.h"

#include <gtest/gtest.h>

#include <string>

#include "common/config/yaml_config.h"

namespace penstock::gateway {
namespace {

std::string Refusal(const std::string& yaml) {
  config::v1::LivePage config;
  EXPECT_TRUE(ReadYaml(yaml, config).ok()) << yaml;
  return std::string(PageServer::Check(config).message());
}

TEST(PageServerTest, AnAddressIsAHostAndAPortOrOff) {
  EXPECT_EQ(Refusal("{}"), "");
  EXPECT_EQ(Refusal("http: \"off\""), "");
  EXPECT_EQ(Refusal("http: 127.0.0.1:0"), "");
  EXPECT_EQ(Refusal("http: nowhere"),
            "page.http is \"nowhere\", want HOST:PORT or \"off\"");
}

TEST(PageServerTest, ACertificateAndItsKeyComeTogether) {
  EXPECT_EQ(Refusal("tls: {certificate_file: a, key_file: b, client_ca_file: c}"), "");
  EXPECT_EQ(Refusal("tls: {certificate_file: a}"), "page.tls.key_file: is empty");
  EXPECT_EQ(Refusal("tls: {key_file: b}"), "page.tls.certificate_file: is empty");
  // It would be served to everybody.
  EXPECT_EQ(Refusal("tls: {client_ca_file: c}"), "page.tls.certificate_file: is empty");
}

}  // namespace
}  // namespace penstock::gateway

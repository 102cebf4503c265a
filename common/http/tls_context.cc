#include "common/http/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

absl::Status Unusable(absl::string_view field, const std::string& path) {
  ERR_clear_error();  // the thread's queue belongs to whoever calls OpenSSL next
  return absl::InvalidArgumentError(absl::StrCat(field, ": no usable PEM in ", path));
}

}  // namespace

void TlsContext::Free::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Create(const config::v1::Tls& tls) {
  auto created = std::unique_ptr<TlsContext>(new TlsContext(tls));
  created->contents_ = created->Contents();
  PENSTOCK_ASSIGN_OR_RETURN(created->context_, created->Load());
  return created;
}

SSL_CTX* TlsContext::Current() {
  std::string contents = Contents();
  if (contents != contents_) {
    contents_ = std::move(contents);
    if (auto context = Load(); context.ok()) context_ = *std::move(context);
  }
  return context_.get();
}

absl::StatusOr<TlsContext::Context> TlsContext::Load() const {
  Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::InternalError("OpenSSL has no context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // Each request is one connection: nothing is resumed.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  if (SSL_CTX_use_certificate_chain_file(context.get(), tls_.certificate_file().c_str()) != 1) {
    return Unusable("certificate_file", tls_.certificate_file());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), tls_.key_file().c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Unusable("key_file", tls_.key_file());
  }
  if (tls_.client_ca_file().empty()) return context;
  if (SSL_CTX_load_verify_locations(context.get(), tls_.client_ca_file().c_str(), nullptr) != 1) {
    return Unusable("client_ca_file", tls_.client_ca_file());
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

std::string TlsContext::Contents() const {
  std::string contents;
  for (const std::string& path :
       {tls_.certificate_file(), tls_.key_file(), tls_.client_ca_file()}) {
    std::ifstream file(path, std::ios::binary);
    contents.append(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    contents.push_back('\n');
  }
  return contents;
}

}  // namespace penstock

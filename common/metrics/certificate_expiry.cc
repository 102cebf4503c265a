#include "common/metrics/certificate_expiry.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

namespace penstock {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

absl::StatusOr<absl::Time> ExpiryOf(const X509& certificate, const std::string& path) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &utc) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": a certificate without an end"));
  }
  return absl::FromCivil(absl::CivilSecond(utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                                           utc.tm_hour, utc.tm_min, utc.tm_sec),
                         absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> EarliestOf(BIO& file, const std::string& path) {
  absl::Time earliest = absl::InfiniteFuture();
  // The form with OpenSSL's own marks of trust is read by who serves the file, too.
  while (const auto certificate =
             std::unique_ptr<X509, Free>(PEM_read_bio_X509_AUX(&file, nullptr, nullptr, nullptr))) {
    const absl::StatusOr<absl::Time> expiry = ExpiryOf(*certificate, path);
    if (!expiry.ok()) return expiry.status();
    earliest = std::min(earliest, *expiry);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end && earliest != absl::InfiniteFuture()) return earliest;
  return absl::InvalidArgumentError(
      absl::StrCat(path, at_end ? ": holds no certificate in PEM" : ": no usable PEM"));
}

}  // namespace

absl::StatusOr<absl::Time> EarliestExpiry(const std::string& path) {
  const std::unique_ptr<BIO, Free> file(BIO_new_file(path.c_str(), "r"));
  absl::StatusOr<absl::Time> earliest = absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  if (file != nullptr) earliest = EarliestOf(*file, path);
  ERR_clear_error();  // the thread's queue belongs to whoever calls OpenSSL next
  return earliest;
}

}  // namespace penstock

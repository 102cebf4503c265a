#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/strings/string_view.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// What budgets have a price for: each option of a decision is expected to take an amount of it, and
// each request took one in the end.
enum class Resource : uint8_t { kJoules, kAcceleratorSeconds, kDollars };

inline constexpr size_t kResources = 3;
// Beside joules, which every decision reckons with.
inline constexpr std::array<Resource, kResources - 1> kOtherResources = {
    Resource::kAcceleratorSeconds, Resource::kDollars};

// One unit of it, as decisions tell of prices.
constexpr absl::string_view UnitName(Resource resource) {
  switch (resource) {
    case Resource::kJoules:
      return "joule";
    case Resource::kAcceleratorSeconds:
      return "accelerator_second";
    case Resource::kDollars:
      return "dollar";
  }
  return "";
}

constexpr config::v1::Budget::Resource ConfigOf(Resource resource) {
  switch (resource) {
    case Resource::kJoules:
      return config::v1::Budget::JOULES;
    case Resource::kAcceleratorSeconds:
      return config::v1::Budget::ACCELERATOR_SECONDS;
    case Resource::kDollars:
      return config::v1::Budget::DOLLARS;
  }
  return config::v1::Budget::JOULES;
}

// An amount of each.
struct Amounts {
  double energy_j = 0;
  double accelerator_seconds = 0;
  double dollars = 0;

  double& operator[](Resource resource) {
    return resource == Resource::kJoules               ? energy_j
           : resource == Resource::kAcceleratorSeconds ? accelerator_seconds
                                                       : dollars;
  }
  double operator[](Resource resource) const { return const_cast<Amounts&>(*this)[resource]; }
  Amounts& operator+=(const Amounts& more) {
    energy_j += more.energy_j;
    accelerator_seconds += more.accelerator_seconds;
    dollars += more.dollars;
    return *this;
  }
};

// What the budgets of one resource ask and leave.
struct ResourceTerms {
  double price = 0;  // quality units per unit, the sum over the budgets that apply
  double headroom = std::numeric_limits<double>::infinity();  // units

  bool binds() const {
    return price > 0 || headroom < std::numeric_limits<double>::infinity();
  }
};

// Of the resources beside joules.
struct OtherTerms {
  ResourceTerms accelerator_seconds;
  ResourceTerms dollars;

  ResourceTerms& operator[](Resource resource) {
    return resource == Resource::kDollars ? dollars : accelerator_seconds;
  }
  const ResourceTerms& operator[](Resource resource) const {
    return const_cast<OtherTerms&>(*this)[resource];
  }
  bool bind() const { return accelerator_seconds.binds() || dollars.binds(); }
  // Quality units that the amounts cost.
  double PriceOf(const Amounts& amounts) const {
    return accelerator_seconds.price * amounts.accelerator_seconds +
           dollars.price * amounts.dollars;
  }
  bool Cover(const Amounts& amounts) const {
    return amounts.accelerator_seconds <= accelerator_seconds.headroom &&
           amounts.dollars <= dollars.headroom;
  }
};

}  // namespace penstock::router

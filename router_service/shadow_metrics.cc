#include "router_service/shadow_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <memory>

#include "router_service/metrics/families.h"
#include "router_service/metrics/pool_labels.h"

namespace penstock::router {
namespace {

struct Families {
  explicit Families(prometheus::Registry& registry)
      : decisions(MakeCounters(registry, "penstock_router_shadow_decisions_total",
                               "Requests that a pool's shadow decided too, by pool and whether it "
                               "agreed with the live files.")),
        reports(MakeCounters(registry, "penstock_router_shadow_reports_total",
                             "Reported answers that live files and shadow were compared on, by "
                             "pool.")),
        squared_error(MakeCounters(registry, "penstock_router_shadow_squared_error_total",
                                   "Sum over those reports of the squared error of predicted "
                                   "quality, by pool and files (live, shadow).")),
        promotions(MakeCounters(registry, "penstock_router_promotions_total",
                                "Shadows made live, by pool and by (command, rule).")) {}

  Counters& decisions;
  Counters& reports;
  Counters& squared_error;
  Counters& promotions;
};

class PoolObserver final : public ShadowObserver {
 public:
  PoolObserver(Families& families, const std::string& pool)
      : agreed_(families.decisions.Add({{"pool", pool}, {"agreed", "yes"}})),
        differed_(families.decisions.Add({{"pool", pool}, {"agreed", "no"}})),
        reports_(families.reports.Add({{"pool", pool}})),
        live_error_(families.squared_error.Add({{"pool", pool}, {"files", "live"}})),
        shadow_error_(families.squared_error.Add({{"pool", pool}, {"files", "shadow"}})),
        by_command_(families.promotions.Add({{"pool", pool}, {"by", "command"}})),
        by_rule_(families.promotions.Add({{"pool", pool}, {"by", "rule"}})) {}

  void Decided(const ShadowDecision& decision) override {
    (decision.agreed ? agreed_ : differed_).Increment();
  }
  void Reported(const ShadowReport& report) override {
    const double live = report.live_quality - report.quality;
    const double shadow = report.shadow_quality - report.quality;
    reports_.Increment();
    live_error_.Increment(live * live);
    shadow_error_.Increment(shadow * shadow);
  }
  void Promoted(PromotedBy by) override {
    (by == PromotedBy::kRule ? by_rule_ : by_command_).Increment();
  }

 private:
  prometheus::Counter& agreed_;
  prometheus::Counter& differed_;
  prometheus::Counter& reports_;
  prometheus::Counter& live_error_;
  prometheus::Counter& shadow_error_;
  prometheus::Counter& by_command_;
  prometheus::Counter& by_rule_;
};

}  // namespace

void ExportShadowMetrics(prometheus::Registry& registry, PoolLabels& labels,
                         const PoolCatalogue& catalogue) {
  for (const std::shared_ptr<const Pool>& pool : catalogue.All()) {
    ExportShadowMetrics(registry, labels, *pool);
  }
}

void ExportShadowMetrics(prometheus::Registry& registry, PoolLabels& labels, const Pool& pool) {
  // The registry has each family once, whoever asks for it again.
  Families families(registry);
  if (!pool.config.has_shadow()) return;
  pool.record->shadow.SetObserver(
      std::make_unique<PoolObserver>(families, labels.LabelOf(pool.name())));
}

}  // namespace penstock::router

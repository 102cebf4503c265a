#include "common/serial_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "common/notification.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

TEST(SerialWorkerTest, DoesOneThingAfterTheOtherAndTellsWhatWaitsAtItsEnd) {
  std::vector<int> done;  // of the worker's thread until it has ended
  std::vector<int> told;
  Notification begun, go_on, third;
  auto worker = std::make_unique<SerialWorker>(2);
  EXPECT_TRUE(worker->Run([&](bool) {
    begun.Notify();
    go_on.Wait();
    done.push_back(1);
  }));
  begun.Wait();
  EXPECT_TRUE(worker->Run([&](bool go) { (go ? done : told).push_back(2); }));
  EXPECT_TRUE(worker->Run([&](bool go) {
    (go ? done : told).push_back(3);
    third.Notify();
  }));
  EXPECT_FALSE(worker->Run([&](bool) { done.push_back(4); }));
  go_on.Notify();
  third.Wait();
  EXPECT_THAT(done, ElementsAre(1, 2, 3));

  Notification again, end;
  EXPECT_TRUE(worker->Run([&](bool) {
    again.Notify();
    end.Wait();
  }));
  again.Wait();
  EXPECT_TRUE(worker->Run([&](bool go) { (go ? done : told).push_back(5); }));
  // The first of the two ends only while the worker does.
  std::thread ender([&] { worker.reset(); });
  end.Notify();
  ender.join();
  EXPECT_EQ(done.size() + told.size(), 4u);
}

}  // namespace
}  // namespace penstock

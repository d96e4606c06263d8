#include "attune/report/series.h"

#include <algorithm>
#include <cmath>

namespace attune::report {

std::vector<Point> finite_points(const std::vector<Point>& points) {
  std::vector<Point> finite;
  finite.reserve(points.size());
  std::copy_if(points.begin(), points.end(), std::back_inserter(finite), [](const Point& point) {
    return std::isfinite(point.x) && std::isfinite(point.y);
  });
  return finite;
}

std::vector<Bucket> downsample(const std::vector<Point>& points, size_t limit) {
  const std::vector<Point> finite = finite_points(points);
  const size_t count = std::min(finite.size(), limit);
  std::vector<Bucket> buckets;
  buckets.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * finite.size() / count;
    const size_t end = (i + 1) * finite.size() / count;
    const auto size = static_cast<double>(end - begin);
    Bucket bucket{.low = finite[begin].y, .high = finite[begin].y};
    for (size_t at = begin; at < end; ++at) {
      bucket.x += finite[at].x / size;
      bucket.mean += finite[at].y / size;
      bucket.low = std::min(bucket.low, finite[at].y);
      bucket.high = std::max(bucket.high, finite[at].y);
    }
    buckets.push_back(bucket);
  }
  return buckets;
}

std::vector<Point> running_mean(const std::vector<Point>& points, size_t width) {
  const size_t reach = width / 2;
  std::vector<Point> means;
  means.reserve(points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const size_t begin = i - std::min(reach, i);
    const size_t end = std::min(points.size(), i + reach + 1);
    double sum = 0;
    for (size_t at = begin; at < end; ++at) {
      sum += points[at].y;
    }
    means.push_back({points[i].x, sum / static_cast<double>(end - begin)});
  }
  return means;
}

}  // namespace attune::report

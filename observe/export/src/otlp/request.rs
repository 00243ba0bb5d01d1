//! Requests of bounded size.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, Sum, Summary,
};
use prost::Message;
use prost::encoding::message;

/// The body of a request, which is a list of messages.
pub(super) struct Request<F> {
    max: usize,
    body: Vec<u8>,
    each: F,
}

/// Number of the list in all requests of OTLP.
const LIST: u32 = 1;
/// Maximum length of the key and the length before a message in a list, in bytes.
const BEFORE: usize = 11;

impl<F: FnMut(Vec<u8>)> Request<F> {
    pub(super) const fn new(max: usize, each: F) -> Self {
        Self { max, body: Vec::new(), each }
    }

    /// Adds a message; the request before ends if it has no room for it.
    pub(super) fn add(&mut self, one: &impl Message) {
        if self.body.len().saturating_add(message::encoded_len(LIST, one)) > self.max {
            self.end();
        }
        message::encode(LIST, one, &mut self.body);
    }

    pub(super) fn end(&mut self) {
        if !self.body.is_empty() {
            (self.each)(std::mem::take(&mut self.body));
        }
    }
}

/// Calls `each` with lists of these messages that have room in a request of `max` bytes, with a resource. There is none
/// for no messages.
pub(super) fn chunks<T: Message>(
    all: impl Iterator<Item = T>,
    max: usize,
    mut each: impl FnMut(Vec<T>),
) {
    let room = room(max);
    let (mut chunk, mut size) = (Vec::new(), 0_usize);
    for one in all {
        let more = one.encoded_len().saturating_add(BEFORE);
        if !chunk.is_empty() && size.saturating_add(more) > room {
            each(std::mem::take(&mut chunk));
            size = 0;
        }
        size = size.saturating_add(more);
        chunk.push(one);
    }
    if !chunk.is_empty() {
        each(chunk);
    }
}

/// Bytes of a request for metrics or lines: the rest is for their resource.
const fn room(max: usize) -> usize {
    max / 2
}

/// A metric in parts that have room in a request of `max` bytes, unless one point is larger.
pub(super) fn split(metric: Metric, max: usize) -> Vec<Metric> {
    let (mut parts, mut rest) = (Vec::new(), vec![metric]);
    while let Some(mut part) = rest.pop() {
        let is_large = part.encoded_len() > room(max);
        match is_large.then(|| second_half(&mut part)).flatten() {
            Some(second) => rest.extend([second, part]),
            None => parts.push(part),
        }
    }
    parts
}

/// Takes the second half of the points out of a metric; `None` if it has one point.
fn second_half(metric: &mut Metric) -> Option<Metric> {
    let data = match metric.data.as_mut()? {
        Data::Gauge(all) => Data::Gauge(Gauge { data_points: half(&mut all.data_points)? }),
        Data::Sum(all) => Data::Sum(Sum { data_points: half(&mut all.data_points)?, ..*all }),
        Data::Histogram(all) => {
            Data::Histogram(Histogram { data_points: half(&mut all.data_points)?, ..*all })
        }
        Data::ExponentialHistogram(all) => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: half(&mut all.data_points)?,
            ..*all
        }),
        Data::Summary(all) => Data::Summary(Summary { data_points: half(&mut all.data_points)? }),
    };
    Some(Metric {
        name: metric.name.clone(),
        description: metric.description.clone(),
        unit: metric.unit.clone(),
        metadata: metric.metadata.clone(),
        data: Some(data),
    })
}

fn half<T>(points: &mut Vec<T>) -> Option<Vec<T>> {
    (points.len() > 1).then(|| points.split_off(points.len() / 2))
}

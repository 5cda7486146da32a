//! The Kafka log on a real broker: the conformance suite, and what only Kafka has.

use whetstone::consume::Log;

use crate::broker::OnKafka;
use crate::log_conformance::{Backing, conformance_suite};

impl Backing for OnKafka {
    fn open(&self) -> Box<dyn Log> {
        Box::new(self.log())
    }
}

conformance_suite!(OnKafka::new(1, module_path!()));

//! Fields of the locks of [`crate::sync`], which come and go with them.

use super::Publisher;
use crate::claim::use_field;
use crate::error::Error;
use crate::handles::SharedGauge;
use crate::schema::declaration::Declaration;
use crate::schema::key::Address;
use crate::thread::stats::Stats;

impl<S: Stats> Publisher<S> {
    /// Adds a number that all threads of the program write, whose room another field gets when it is
    /// retired and no handle of it is left. Its value must have been removed by then.
    pub(crate) fn shared_passing(
        &self,
        declaration: Declaration,
    ) -> Result<(Address, SharedGauge<u64>), Error> {
        self.files.refuse_reentry()?;
        let address = self.files.add_passing(declaration)?;
        let attach = || {
            let lane = self.files.shared_lane(address.segment as usize)?.open()?;
            SharedGauge::attach(&use_field(&lane, address)?, address.id).map_err(Error::Attach)
        };
        let gauge = attach().inspect_err(|_| self.retire_passing(address))?;
        Ok((address, gauge))
    }

    /// Retires the field at `address`. Does nothing in a forked child, in a call from within the
    /// library, and if the publisher is closed.
    pub(crate) fn retire_passing(&self, address: Address) {
        if !self.files.is_forked() && self.files.refuse_reentry().is_ok() {
            let _ = self.files.retire(address);
        }
    }

    /// Whether both are clones of one publisher.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

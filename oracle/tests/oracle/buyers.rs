//! Clients who keep a record of what they ask the module and are told.

use crate::stage::SID;
use redis::Connection;
use seckill_oracle::record::{Answer, Op, Recorder, Rejection};
use seckill_testbed::{Redis, User};

/// Clients who keep a record.
pub(crate) struct Buyers<'a> {
    recorder: &'a Recorder,
    connection: Connection,
}

impl<'a> Buyers<'a> {
    pub(crate) fn of(redis: &Redis, recorder: &'a Recorder) -> Self {
        Self {
            recorder,
            connection: redis.connect(User::Proxy).unwrap(),
        }
    }

    pub(crate) fn buy(&mut self, uid: &str, qty: u32, token: Option<&str>) -> String {
        let op = Op::Try {
            qty,
            token: token.map(str::to_owned),
        };
        let pending = self.recorder.begin(SID, uid, op).unwrap();
        let (verdict, rid) = self.try_for(uid, qty, token);
        let rid_told = rid.clone();
        let answer = match verdict.as_str() {
            "ACCEPTED" => Answer::Accepted { rid: rid_told },
            "DUPLICATE" => Answer::Duplicate { rid: rid_told },
            other => panic!("{uid}: {other}"),
        };
        self.recorder.answer(pending, answer).unwrap();
        rid
    }

    fn try_for(&mut self, uid: &str, qty: u32, token: Option<&str>) -> (String, String) {
        let mut question = redis::cmd("SECKILL.TRY");
        question.arg(SID).arg(uid).arg("QTY").arg(qty);
        if let Some(token) = token {
            question.arg("TOKEN").arg(token);
        }
        question.query(&mut self.connection).unwrap()
    }

    /// The client is killed before it hears anything.
    pub(crate) fn lose_the_answer(&mut self, uid: &str) {
        let op = Op::Try {
            qty: 1,
            token: None,
        };
        drop(self.recorder.begin(SID, uid, op).unwrap());
        let (verdict, _) = self.try_for(uid, 1, None);
        assert_eq!(verdict, "ACCEPTED");
    }

    /// The question is lost on its way.
    pub(crate) fn never_asks(&mut self, uid: &str) {
        let op = Op::Try {
            qty: 1,
            token: None,
        };
        let pending = self.recorder.begin(SID, uid, op).unwrap();
        let why = "no connection".to_owned();
        let answer = Answer::Unknown { why };
        self.recorder.answer(pending, answer).unwrap();
    }

    pub(crate) fn is_sold_out(&mut self, uid: &str) {
        let op = Op::Try {
            qty: 1,
            token: None,
        };
        let pending = self.recorder.begin(SID, uid, op).unwrap();
        let mut question = redis::cmd("SECKILL.TRY");
        let (verdict, _): (String, i64) = question
            .arg(SID)
            .arg(uid)
            .query(&mut self.connection)
            .unwrap();
        assert_eq!(verdict, "SOLDOUT");
        let verdict = Rejection::SoldOut;
        let answer = Answer::Rejected { verdict };
        self.recorder.answer(pending, answer).unwrap();
    }

    pub(crate) fn confirm(&mut self, uid: &str, rid: &str) {
        let rid = rid.to_owned();
        let op = Op::Confirm { rid: rid.clone() };
        let pending = self.recorder.begin(SID, uid, op).unwrap();
        self.settle("SECKILL.CONFIRM", &[&rid]).unwrap();
        self.recorder.answer(pending, Answer::Confirmed).unwrap();
    }

    pub(crate) fn pay_too_late(&mut self, uid: &str, rid: &str) {
        let rid = rid.to_owned();
        let op = Op::Confirm { rid: rid.clone() };
        let pending = self.recorder.begin(SID, uid, op).unwrap();
        let error = self
            .settle("SECKILL.CONFIRM", &[&rid, "REFUND"])
            .unwrap_err();
        let why = error.to_string();
        self.recorder
            .answer(pending, Answer::Refused { why })
            .unwrap();
    }

    pub(crate) fn cancel(&mut self, uid: &str, rid: &str) {
        let rid = rid.to_owned();
        let op = Op::Cancel { rid: rid.clone() };
        let pending = self.recorder.begin(SID, uid, op).unwrap();
        self.settle("SECKILL.CANCEL", &[&rid]).unwrap();
        self.recorder.answer(pending, Answer::Cancelled).unwrap();
    }

    fn settle(&mut self, command: &str, words: &[&str]) -> redis::RedisResult<()> {
        redis::cmd(command)
            .arg(SID)
            .arg(words)
            .exec(&mut self.connection)
    }
}
